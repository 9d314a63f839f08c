"""Our sender, and FFmpeg and GStreamer play: judged by decoded pictures and sound."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.interop import ffmpeg, gstreamer, stage
from tests.support import peers

LEVELS = {"jpeg": "expanded"}
"""GStreamer's jpegdec hands out JPEG's full-range luma, and says nothing of it in YUV4MPEG2."""


@pytest.mark.parametrize(("video", "audio"), stage.PAIRS)
def test_ffmpeg_by_our_sdp(clip: Path, tmp_path: Path, video: str, audio: str) -> None:
    peers.need("ffmpeg")
    port, out, sdp = peers.free_ports(), stage.Outputs.of(tmp_path), tmp_path / "ours.sdp"
    target = f"rtp://127.0.0.1:{port}"
    describe(target, clip, tmp_path, video, audio, sdp)
    with peers.Process(ffmpeg.receive(sdp, out.pictures, out.sound), tmp_path, "peer") as receiving:
        receiving.wait_for_port(port)
        receiving.wait_for_port(port + 2)
        with peers.Process(stage.sender(target, clip, video, audio), tmp_path, "sender") as sending:
            assert sending.wait() == 0, sending.log
        assert receiving.wait(5) == 0  # our BYE ends it
    stage.check(out, video, audio)


@pytest.mark.parametrize(("video", "audio"), stage.PAIRS)
def test_gstreamer(clip: Path, tmp_path: Path, video: str, audio: str) -> None:
    peers.need("gst-launch-1.0")
    port, out = peers.free_ports(), stage.Outputs.of(tmp_path)
    with peers.Process(gstreamer.receive(port, video, audio, out.pictures, out.sound), tmp_path, "peer") as receiving:
        receiving.wait_for_port(port)
        receiving.wait_for_port(port + 2)
        with peers.Process(stage.sender(f"rtp://127.0.0.1:{port}", clip, video, audio), tmp_path, "sender") as sending:
            assert sending.wait() == 0, sending.log
        time.sleep(0.3)
        receiving.interrupt()
    stage.check(out, video, audio, LEVELS.get(video, "same"))


def describe(target: str, clip: Path, folder: Path, video: str, audio: str, sdp: Path) -> None:
    """A run of a moment, to nobody, writes the description the other side has to know beforehand."""
    command = stage.sender(target, clip, video, audio, "--sdp", sdp, "--duration", "0.2s")
    with peers.Process(command, folder, "describe") as describing:
        describing.wait()
    assert sdp.exists(), describing.log
