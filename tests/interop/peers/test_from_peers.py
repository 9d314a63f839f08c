"""FFmpeg and GStreamer send, our receiver plays: judged by decoded pictures and sound."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.interop import ffmpeg, gstreamer, stage
from tests.support import peers


@pytest.mark.parametrize(("video", "audio"), stage.PAIRS)
def test_ffmpeg_through_its_own_sdp(clip: Path, tmp_path: Path, video: str, audio: str) -> None:
    peers.need("ffmpeg")
    port, out, sdp = peers.free_ports(), stage.Outputs.of(tmp_path), tmp_path / "ffmpeg.sdp"
    encoded = tmp_path / "encoded.mkv"
    for name, command in (
        ("encode", ffmpeg.encode(clip, video, encoded)),
        ("describe", ffmpeg.send(encoded, port, sdp, video, audio, "-t", "0.1")),
    ):
        with peers.Process(command, tmp_path, name) as process:
            assert process.wait() == 0, process.log
    receive_from(ffmpeg.send(encoded, port, sdp, video, audio), tmp_path, stage.receiver(sdp, out), port)
    stage.check(out, video, audio)
    stage.check_report(report(tmp_path), video, audio)


LEVELS = {"jpeg": "compressed"}
"""jpegenc writes limited-range luma as it is, where JFIF has full range: every JPEG decoder compresses it again."""
SDP = """v=0
o=- 1 1 IN IP4 127.0.0.1
s=GStreamer
c=IN IP4 127.0.0.1
t=0 0
m=video {video_port} RTP/AVP 96
a=rtpmap:96 H264/90000
a=fmtp:96 packetization-mode=1
m=audio {audio_port} RTP/AVP 97
a=rtpmap:97 OPUS/48000/2
"""


@pytest.mark.parametrize(("video", "audio"), stage.PAIRS)
def test_gstreamer(clip: Path, tmp_path: Path, video: str, audio: str) -> None:
    """H.264 by an SDP file, VP8 on payload type 96 (as GStreamer numbers everything) by --map, the rest by default."""
    peers.need("gst-launch-1.0")
    port, out, sdp = peers.free_ports(), stage.Outputs.of(tmp_path), tmp_path / "gstreamer.sdp"
    sdp.write_text(SDP.format(video_port=port, audio_port=port + 2))
    source: object = sdp if video == "h264" else f"127.0.0.1:{port}"
    more = ("--map", "96=VP8/90000") if video == "vp8" else ()
    send = gstreamer.send(clip, port, video, audio, video_type=96 if video == "vp8" else None)
    receive_from(send, tmp_path, stage.receiver(source, out, *more), port)
    stage.check(out, video, audio, LEVELS.get(video, "same"))
    stage.check_report(report(tmp_path), video, audio)


def receive_from(send: list[object], folder: Path, receive: list[object], port: int) -> None:
    """Our receiver beside their sender; ended by Ctrl-C, as a sender without RTCP says no goodbye."""
    with peers.Process(receive, folder, "receiver") as receiving:
        receiving.wait_for_port(port)
        with peers.Process(send, folder, "peer") as sending:
            assert sending.wait() == 0, sending.log
        time.sleep(0.7)
        assert receiving.interrupt() == 0, receiving.log


def report(folder: Path) -> dict[str, object]:
    """What the receiver said on stdout."""
    import json

    told = json.loads((folder / "receiver.out").read_text())
    assert isinstance(told, dict)
    return told
