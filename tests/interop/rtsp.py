"""Other programs' command lines as RTSP clients, and our server."""

from __future__ import annotations

import socket
from contextlib import closing
from pathlib import Path

from tests.interop import ffmpeg, gstreamer
from tests.support import peers

SERVER = peers.ROOT / "tests" / "support" / "gst_rtsp_server.py"


TO_PICTURES = "videoconvert ! video/x-raw,format=I420,colorimetry=bt601 ! y4menc ! filesink sync=false"
TO_SOUND = "audioconvert ! audio/x-raw,format=S16LE,channels=1 ! wavenc ! filesink sync=false"


def free_port() -> int:
    """A TCP port of 127.0.0.1 that is free."""
    with closing(socket.socket()) as opened:
        opened.bind(("127.0.0.1", 0))
        return int(opened.getsockname()[1])


def serve(url: str, *options: object) -> list[object]:
    """The command line of our server."""
    return peers.sender("serve", url, *options)


def by_ffmpeg(url: str, lower: str, pictures: Path, sound: Path) -> list[object]:
    """Plays until every stream has said BYE. `lower`: udp, tcp or udp_multicast."""
    return [
        *(*ffmpeg.FFMPEG, "-rtsp_transport", lower, "-i", url),
        *("-map", "0:v", "-fps_mode", "passthrough", "-pix_fmt", "yuv420p", "-f", "yuv4mpegpipe", pictures),
        *("-map", "0:a", "-c:a", "pcm_s16le", sound),
    ]


def by_gstreamer(
    url: str, lower: str, video: str, audio: str, pictures: Path, sound: Path, *properties: str
) -> list[object]:
    """Plays until the end. `lower`: udp, tcp or udp-mcast; `properties` of rtspsrc."""
    return [
        *gstreamer.LAUNCH,
        *("rtspsrc", f"location={url}", f"protocols={lower}", "latency=100", "name=s", *properties),
        *f"s. ! {gstreamer.DECODE[video]} ! {TO_PICTURES} location={pictures}".split(),
        *f"s. ! {gstreamer.DECODE[audio]} ! {TO_SOUND} location={sound}".split(),
    ]


def gstreamer_server(*options: object, video: str | None = None, audio: str | None = None, clip: Path | None = None,
                     launch: str | None = None) -> list[object]:  # fmt: skip
    """The command line of GStreamer's server: a clip in these codecs, each on its usual payload type, or `launch`."""
    if launch is None:
        launch = f"filesrc location={clip} ! matroskademux name=d"
        if video is not None:
            launch += f" d.video_0 ! queue ! avdec_ffv1 ! {gstreamer.ENCODE[video]} name=pay0"
        if audio is not None:
            launch += f" d.audio_0 ! queue ! {gstreamer.ENCODE[audio]} name=pay{int(video is not None)}"
    return ["/usr/bin/python3", SERVER, "--launch", launch, *options]


def wait_until_ready(server: peers.Process) -> int:
    """The port of GStreamer's server."""
    server.wait_for_text("ready ")
    return int(server.output.split()[1])


def need_gstreamer_server() -> None:
    """Skips the test where GStreamer's server is missing."""
    import subprocess

    import pytest

    probe = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    try:
        subprocess.run(["/usr/bin/python3", "-c", probe], check=True, capture_output=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        pytest.skip("GStreamer's RTSP server is not installed (gir1.2-gst-rtsp-server-1.0)")
