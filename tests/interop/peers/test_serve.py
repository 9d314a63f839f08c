"""`serve`, and FFmpeg and GStreamer come and play: judged by decoded pictures and sound.

VLC is not among them: Debian builds it without live555, and so without RTSP but for MPEG transport streams."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.interop import rtsp, stage
from tests.support import peers

LEVELS = {"jpeg": "expanded"}
"""GStreamer's jpegdec hands out JPEG's full-range luma, and says nothing of it in YUV4MPEG2."""


@contextmanager
def serving(folder: Path, clip: Path, video: str, audio: str, *options: object) -> Iterator[str]:
    """The URL of a server that begins the clip for whoever comes first, and ends with it."""
    url = f"rtsp://127.0.0.1:{rtsp.free_port()}/clip"
    codecs = ("--video-codec", video, "--audio-codec", audio, "--video-bitrate", "2M")
    command = rtsp.serve(url, "--video", clip, *codecs, "--exit-on-end", "--json", *options)
    with peers.Process(command, folder, "server") as server:
        server.wait_for_text("serving")
        yield url
        assert server.wait(10) == 0, server.log
        report = server.json()
    assert report["error"] is None
    assert {stream["encoding"] for stream in report["streams"]} == {stage.ENCODINGS[video], stage.ENCODINGS[audio]}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("lower", "video", "audio"),
    [("udp", "h264", "opus"), ("tcp", "h264", "opus"), ("udp", "vp8", "l16"), ("tcp", "jpeg", "pcmu")],
)
def test_ffmpeg(clip: Path, tmp_path: Path, lower: str, video: str, audio: str) -> None:
    peers.need("ffmpeg")
    out = stage.Outputs.of(tmp_path)
    with serving(tmp_path, clip, video, audio) as url:
        command = rtsp.by_ffmpeg(url, lower, out.pictures, out.sound)
        with peers.Process(command, tmp_path, "peer") as playing:
            assert playing.wait(15) == 0, playing.log
    stage.check(out, video, audio)


@pytest.mark.parametrize(
    ("lower", "video", "audio"),
    [("udp", "h264", "opus"), ("tcp", "h264", "opus"), ("udp", "jpeg", "pcmu"), ("tcp", "vp8", "l16")],
)
def test_gstreamer(clip: Path, tmp_path: Path, lower: str, video: str, audio: str) -> None:
    peers.need("gst-launch-1.0")
    out = stage.Outputs.of(tmp_path)
    with serving(tmp_path, clip, video, audio) as url:
        command = rtsp.by_gstreamer(url, lower, video, audio, out.pictures, out.sound)
        with peers.Process(command, tmp_path, "peer") as playing:
            assert playing.wait(15) == 0, playing.log
    stage.check(out, video, audio, LEVELS.get(video, "same"))


def test_gstreamer_by_multicast(clip: Path, tmp_path: Path) -> None:
    peers.need("gst-launch-1.0")
    out = stage.Outputs.of(tmp_path)
    group = ("--multicast", f"239.255.77.21:{peers.free_ports()}", "--interface", "lo")
    with serving(tmp_path, clip, "h264", "opus", *group) as url:
        command = rtsp.by_gstreamer(url, "udp-mcast", "h264", "opus", out.pictures, out.sound, "multicast-iface=lo")
        with peers.Process(command, tmp_path, "peer") as playing:
            assert playing.wait(15) == 0, playing.log
    stage.check(out, "h264", "opus")


@pytest.mark.parametrize("lower", ["udp", "tcp"])
def test_our_receiver(clip: Path, tmp_path: Path, lower: str) -> None:
    out = stage.Outputs.of(tmp_path)
    with serving(tmp_path, clip, "h264", "opus") as url:
        command = stage.receiver(url, out, "--exit-on-end", "--rtsp-transport", lower)
        with peers.Process(command, tmp_path, "receiver") as receiving:
            assert receiving.wait(15) == 0, receiving.log
            report = receiving.json()
    stage.check(out, "h264", "opus")
    stage.check_report(report, "h264", "opus")
    assert all(stream["ledger"]["sent_known"] for stream in report["streams"])  # type: ignore[attr-defined]
