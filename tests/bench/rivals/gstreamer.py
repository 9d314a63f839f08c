"""GStreamer's rtpbin with retransmission, tuned: the receiver's RTCP allowance raised so that requests go at once."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

from tests.bench.rivals.contract import Peer, Plan, Stage, said
from tests.support import peers

NODE = Path(__file__).with_name("gstreamer_node.py")
CHECK = "import gi; gi.require_version('Gst', '1.0'); from gi.repository import Gst; Gst.init(None); "
NEEDED = ("x264enc", "rtph264pay", "rtpbin", "rtprtxsend", "rtprtxreceive", "avdec_h264", "rawvideoparse")


def python() -> str:
    """The system's own Python: GStreamer's bindings come with the distribution, not from PyPI."""
    return shutil.which("python3", path="/usr/bin:/usr/local/bin:/opt/homebrew/bin") or "python3"


def plan(stage: Stage, latency: int) -> Plan:
    """RTP and RTCP on a pair of ports each."""
    front, rear, origin = (peers.free_ports(2) for _ in range(3))
    return Plan(
        maps=[(front, rear), (front + 1, rear + 1, origin)],
        receiver=[python(), NODE, "show", stage.screen, latency, rear, rear + 1, origin],
        sender=[python(), NODE, "send", stage.pictures, stage.bitrate, front, front + 1],
    )


def version() -> str:
    return said(python(), "-c", CHECK + "print(Gst.version_string())").strip()


def missing() -> str | None:
    if not version():
        return "GStreamer's Python bindings not installed (python3-gi, gir1.2-gstreamer-1.0)"
    absent = said(
        python(), "-c", f"{CHECK}print(*(n for n in {NEEDED} if not Gst.ElementFactory.find(n)))"
    ).split()  # fmt: skip
    return f"GStreamer lacks {', '.join(absent)}" if absent else None


def rtx(latency: int) -> Peer:
    """With this jitter buffer in ms."""
    settings = (
        f"rtpbin AVPF, jitter buffer {latency} ms, retransmission, key frames on request, RTCP at least every 20 ms "
        "and its bandwidth raised, x264enc ultrafast zerolatency, key frame every 2 s, synchronised sink"
    )
    return Peer(f"gstreamer-rtx-{latency}", settings, partial(plan, latency=latency), version, missing)


PEERS = [rtx(150), rtx(100)]
