"""FFmpeg and GStreamer announce and send, our receiver takes it: judged by decoded pictures and sound."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from tests.interop import ffmpeg, gstreamer, stage
from tests.support import peers

LEVELS = {"jpeg": "compressed"}
"""jpegenc writes limited-range luma as it is, where JFIF has full range: every JPEG decoder compresses it again."""
AUDIO = {
    "opus": "-c:a libopus -b:a 64k -application audio -frame_duration 20",
    "l16": "-c:a pcm_s16be -ar 48000 -ac 1",
    "pcmu": "-c:a pcm_mulaw -ar 8000 -ac 1",
}


def by_ffmpeg(encoded: Path, url: str, lower: str, audio: str) -> list[object]:
    """Announces and sends a clip in real time."""
    return [
        *(*ffmpeg.FFMPEG, "-re", "-i", encoded, "-c:v", "copy", *AUDIO[audio].split()),
        *("-f", "rtsp", "-rtsp_transport", lower, url),
    ]


def made(source: str, codec: str, url: str) -> list[object]:
    """Announces and sends three seconds of what FFmpeg makes itself."""
    return [
        *(*ffmpeg.FFMPEG, "-re", "-f", "lavfi", "-i", source, "-t", "3", *codec.split()),
        *("-f", "rtsp", "-rtsp_transport", "tcp", url),
    ]


def by_gstreamer(clip: Path, url: str, lower: str, video: str, audio: str, *properties: str) -> list[object]:
    """Likewise."""
    pictures, sound = (gstreamer.ENCODE[codec].rpartition(" ! ") for codec in (video, audio))
    pipeline = (
        f"rtspclientsink name=s location={url} protocols={lower} latency=100 {' '.join(properties)}"
        f" filesrc location={clip} ! matroskademux name=d"
        f" d.video_0 ! queue ! avdec_ffv1 ! {pictures[0]} ! s.sink_0"
        f" d.audio_0 ! queue ! {sound[0]} ! s.sink_1"
    )
    return [*gstreamer.LAUNCH, *pipeline.split()]


def receiving(folder: Path, port: int, *options: object) -> peers.Process:
    """Our receiver, until the sender says that it is over."""
    command = stage.receiver(f"127.0.0.1:{port}", stage.Outputs.of(folder), "--exit-on-end", *options)
    return peers.Process(command, folder, "receiver")


def take(folder: Path, send: Any, *options: object, lenient: bool = False) -> dict[str, Any]:
    """What `send(port)` sends; our report. `lenient`: towards one that does not always end as it should."""
    port = peers.free_ports()
    with receiving(folder, port, *options) as receiver:
        receiver.wait_for_tcp(port)
        with peers.Process(send(port), folder, "peer") as sending:
            assert sending.wait(15) in ((0, 1) if lenient else (0,)), sending.log
        if lenient:
            time.sleep(1.5)
            assert receiver.interrupt() == 0, receiver.log
        assert receiver.wait(10) == 0, receiver.log
        return receiver.json()


@pytest.fixture(scope="module")
def encoded(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In H.264, beforehand."""
    peers.need("ffmpeg")
    folder = tmp_path_factory.mktemp("encoded")
    with peers.Process(ffmpeg.encode(clip, "h264", folder / "clip.mkv"), folder, "encode") as process:
        assert process.wait() == 0, process.log
    return folder / "clip.mkv"


@pytest.mark.parametrize(("lower", "audio"), [("udp", "opus"), ("tcp", "pcmu")])
def test_ffmpeg(encoded: Path, tmp_path: Path, lower: str, audio: str) -> None:
    report = take(tmp_path, lambda port: by_ffmpeg(encoded, f"rtsp://127.0.0.1:{port}/clip", lower, audio))
    stage.check(stage.Outputs.of(tmp_path), "h264", audio)
    stage.check_report(report, "h264", audio)
    assert f"127.0.0.1 sends clip: H264, {stage.ENCODINGS[audio]}, by {lower.upper()}" in told(tmp_path)


@pytest.mark.parametrize(
    ("scheme", "lower", "video", "audio"),
    [("rtsp", "udp", "jpeg", "opus"), ("rtsp", "tcp", "h264", "pcmu"), ("rtsps", "tcp", "h264", "opus")],
)
def test_gstreamer(clip: Path, tmp_path: Path, scheme: str, lower: str, video: str, audio: str) -> None:
    peers.need("gst-launch-1.0")
    trust = ("profiles=avp", "tls-validation-flags=0") if scheme == "rtsps" else ()
    report = take(
        tmp_path,
        lambda port: by_gstreamer(clip, f"{scheme}://127.0.0.1:{port}/clip", lower, video, audio, *trust),
        lenient=True,  # at times it waits for the end of a stream that has ended, or leaves without a word
    )
    stage.check(stage.Outputs.of(tmp_path), video, audio, LEVELS.get(video, "same"))
    stage.check_report(report, video, audio)
    assert ("encrypted connection" in told(tmp_path)) == (scheme == "rtsps")


def test_several_at_once_that_number_their_payload_types_alike(encoded: Path, tmp_path: Path) -> None:
    """All of FFmpeg's begin at 96; the first one is played, every one is measured."""
    port = peers.free_ports()
    commands = [
        by_ffmpeg(encoded, f"rtsp://127.0.0.1:{port}/one", "udp", "opus"),
        made("sine=sample_rate=16000", AUDIO["l16"], f"rtsp://127.0.0.1:{port}/two"),
        made("testsrc=size=160x120:rate=25", ffmpeg.VIDEO["vp8"], f"rtsp://127.0.0.1:{port}/three"),
    ]
    with receiving(tmp_path, port) as receiver:
        receiver.wait_for_tcp(port)
        sending = [peers.Process(command, tmp_path, f"peer{n}") for n, command in enumerate(commands)]
        try:
            assert [process.wait(20) for process in sending] == [0, 0, 0]
        finally:
            for process in sending:
                process.stop()
        assert receiver.wait(10) == 0, receiver.log
        report = receiver.json()
    found = sorted((stream["encoding"], stream["payload_type"]) for stream in report["streams"])  # type: ignore[attr-defined]
    assert found == [("H264", 96), ("L16", 96), ("VP8", 96), ("opus", 97)]
    for stream in report["streams"]:  # type: ignore[attr-defined]
        assert (stream["ledger"]["lost"], stream["ledger"]["arrived"] > 50) == (0, True), stream["encoding"]


def test_only_who_is_known_may_send(encoded: Path, tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text("alice:secret\n")
    users.chmod(0o600)
    port = peers.free_ports()
    with receiving(tmp_path, port, "--users", users) as receiver:
        receiver.wait_for_tcp(port)
        for name in ("", "alice:wrong@"):
            command = by_ffmpeg(encoded, f"rtsp://{name}127.0.0.1:{port}/clip", "tcp", "opus")
            with peers.Process(command, tmp_path, "stranger") as stranger:
                assert stranger.wait(10) != 0
        with peers.Process(
            by_ffmpeg(encoded, f"rtsp://alice:secret@127.0.0.1:{port}/clip", "tcp", "opus"), tmp_path, "peer"
        ) as sending:
            assert sending.wait(15) == 0, sending.log
        assert receiver.wait(10) == 0, receiver.log
    stage.check(stage.Outputs.of(tmp_path), "h264", "opus")
    assert len(json.loads((tmp_path / "receiver.out").read_text())["streams"]) == 2


def test_the_port_is_taken_and_datagrams_go_on(encoded: Path, tmp_path: Path) -> None:
    port = peers.free_ports()
    with socket.create_server(("127.0.0.1", port)), receiving(tmp_path, port) as receiver:
        receiver.wait_for_port(port)
        receiver.wait_for_text(f"TCP port {port} is in use")
        send = ffmpeg.send(encoded, port, tmp_path / "sdp", "h264", "opus")
        with peers.Process(send, tmp_path, "peer") as sending:
            assert sending.wait(15) == 0, sending.log
        time.sleep(0.7)
        assert receiver.interrupt() == 0, receiver.log
    stage.check_report(json.loads((tmp_path / "receiver.out").read_text()), "h264", "opus")


def told(folder: Path) -> str:
    """What the receiver said."""
    return (folder / "receiver.log").read_text()
