"""NACK and RTX with GStreamer, both ways, through a network that loses 5 %: judged by the ledger and the pictures."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.interop import gstreamer, stage
from tests.support import media, peers

PAYLOAD_TYPES = "payload-type-map=application/x-rtp-pt-map,96=(uint)112"
LOSS = ("--loss", "5%", "--delay", "10", "--back", "delay")


def test_gstreamer_answers_our_requests(clip: Path, tmp_path: Path) -> None:
    """rtprtxsend, RTCP straight back to where its session listens."""
    peers.need("gst-launch-1.0")
    front, port, out = peers.free_ports(), peers.free_ports(), stage.Outputs.of(tmp_path)
    feedback = front + 3
    pipeline = (
        f"rtpsession name=s rtp-profile=avpf filesrc location={clip} ! matroskademux name=d "
        f"d.video_0 ! queue ! avdec_ffv1 ! {gstreamer.ENCODE['h264']} ! rtprtxsend {PAYLOAD_TYPES} max-size-time=1000 "
        f"! s.send_rtp_sink s.send_rtp_src ! udpsink host=127.0.0.1 port={front} "
        f"s.send_rtcp_src ! udpsink host=127.0.0.1 port={front + 1} sync=false async=false "
        f"udpsrc address=127.0.0.1 port={feedback} caps=application/x-rtcp ! s.recv_rtcp_sink"
    )
    receive = stage.receiver(
        f"127.0.0.1:{port}", out, "--audio", "none", "--latency", "300ms", "--rtcp-to", f"127.0.0.1:{feedback}"
    )
    ports = ("--map", f"{front}:{port}", "--map", f"{front + 1}:{port + 1}")
    with peers.Process(peers.proxy(*ports, *LOSS), tmp_path, "proxy") as network:
        network.wait_for_port(front)
        with peers.Process(receive, tmp_path, "receiver") as receiving:
            receiving.wait_for_port(port)
            peer = peers.Process([*gstreamer.LAUNCH, *pipeline.split()], tmp_path, "peer")
            with suppress(AssertionError), peer as sending:  # its RTCP may keep it from ending: what came is judged
                sending.wait(12)
            assert receiving.interrupt() == 0, receiving.log
    told = stage.stream(json.loads((tmp_path / "receiver.out").read_text()), "video")
    ledger = told["ledger"]
    assert ledger["lost"] > 5
    unanswered = 2  # the peer leaves with its last packet: what is lost of those, nobody answers
    assert ledger["recovered_rtx"] >= 0.9 * ledger["lost"] - unanswered, f"{ledger} {told['repair']}"
    seen = media.look(out.pictures)
    assert seen.in_order
    assert len(set(seen.numbers)) >= stage.PICTURES - 4


def test_our_sender_answers_gstreamer(clip: Path, tmp_path: Path) -> None:
    """rtprtxreceive, which announces nothing: --repair nack. Its RTCP goes back through the proxy."""
    peers.need("gst-launch-1.0")
    front, port, out = peers.free_ports(), peers.free_ports(), stage.Outputs.of(tmp_path)
    origin = front + 3
    caps = f"application/x-rtp,{gstreamer.CAPS['h264']}"
    write = "videoconvert ! video/x-raw,format=I420,colorimetry=bt601 ! y4menc ! filesink sync=false"
    pipeline = (
        f"rtpsession name=s rtp-profile=avpf rtcp-min-interval=20000000 bandwidth=2000000 "
        f"udpsrc address=127.0.0.1 port={port} caps={caps} ! s.recv_rtp_sink "
        f"s.recv_rtp_src ! rtprtxreceive {PAYLOAD_TYPES} ! rtpssrcdemux "
        f"! rtpjitterbuffer do-retransmission=true latency=400 ! {gstreamer.DECODE['h264']} "
        f"! {write} location={out.pictures} "
        f"s.send_rtcp_src ! udpsink host=127.0.0.1 port={origin} bind-address=127.0.0.1 bind-port={port + 1} "
        "sync=false async=false"
    )
    ports = ("--map", f"{front}:{port}", "--map", f"{front + 1}:{port + 1}:{origin}")
    send = stage.sender(f"rtp://127.0.0.1:{front}", clip, "h264", "opus", "--audio", "none", "--repair", "nack")
    with peers.Process(peers.proxy(*ports, *LOSS), tmp_path, "proxy") as network:
        network.wait_for_port(front)
        with peers.Process([*gstreamer.LAUNCH, *pipeline.split()], tmp_path, "peer") as receiving:
            receiving.wait_for_port(port)
            with peers.Process(send, tmp_path, "sender") as sending:
                assert sending.wait(25) == 0, sending.log
            receiving.interrupt()
    told: dict[str, Any] = json.loads((tmp_path / "sender.out").read_text())
    (stream,) = told["streams"]
    assert stream["repair"]["packets"] > 5, f"{stream['repair']} {told['socket']}"
    seen = media.look(out.pictures)
    assert seen.in_order
    assert len(set(seen.numbers)) >= stage.PICTURES - 6
