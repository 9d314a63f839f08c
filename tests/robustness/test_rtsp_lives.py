"""RTSP whose far ends are killed or cut off: said at once, resumed by itself, one report, nothing left open."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.interop import ffmpeg, rtsp
from tests.support import machines, peers

NOTHING = ("--video", "none", "--audio", "none", "--json")
PATTERN = ("--video", "pattern", "--size", "320x240", "--fps", "25", "--audio", "tone")


def open_files(process: peers.Process) -> int:
    return len(os.listdir(f"/proc/{process.process.pid}/fd"))


def wait_for(process: peers.Process, text: str, count: int, seconds: float = 10.0) -> None:
    """Until it has said this so often."""
    end = time.monotonic() + seconds
    while process.log.count(text) < count:
        assert time.monotonic() < end, f"{text!r} was not said {count} times:\n{process.log[-3000:]}"
        time.sleep(0.02)


def by_kind(report: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [stream for stream in report["streams"] if stream["media"] == kind]


@pytest.mark.parametrize("lower", ["udp", "tcp"])
def test_a_server_that_is_killed_and_comes_back(tmp_path: Path, lower: str) -> None:
    url = f"rtsp://127.0.0.1:{rtsp.free_port()}/live"
    play = peers.receiver(url, "--video", tmp_path / "out.y4m", "--audio", "none", "--json", "--rtsp-transport", lower)
    opened = []
    with peers.Process(rtsp.serve(url, *PATTERN), tmp_path, "server0") as server:
        server.wait_for_text("serving")
        receiver = peers.Process(play, tmp_path, "receiver")
        try:
            wait_for(receiver, "video starts", 1)
            for again in (1, 2):
                time.sleep(1.2)
                opened.append(open_files(receiver))
                server.process.kill()
                killed = time.monotonic()
                wait_for(receiver, "is lost", again, 2.0)
                assert time.monotonic() - killed < 2
                server.process.wait()
                server = peers.Process(rtsp.serve(url, *PATTERN), tmp_path, f"server{again}")
                wait_for(receiver, "video starts", again + 1)
            time.sleep(1.5)
            opened.append(open_files(receiver))
            assert receiver.interrupt() == 0, receiver.log
        finally:
            receiver.stop()
            server.stop()
    report = receiver.json()
    videos = by_kind(report, "video")
    assert len(videos) == 3
    assert all(video["frames"]["rendered"] >= 20 for video in videos)
    assert opened[2] <= opened[0] + 2, opened
    assert "Traceback" not in receiver.log


def test_a_sender_that_is_killed_and_comes_back(tmp_path: Path) -> None:
    """FFmpeg, by UDP: its session is not ended by anybody, and yet it may begin anew at once."""
    peers.need("ffmpeg")
    port, opened = peers.free_ports(), []
    send = [
        *(*ffmpeg.FFMPEG, "-re", "-f", "lavfi", "-i", "testsrc=size=160x120:rate=25", *ffmpeg.VIDEO["h264"].split()),
        *("-f", "rtsp", "-rtsp_transport", "udp", f"rtsp://127.0.0.1:{port}/camera"),
    ]
    with peers.Process(peers.receiver(f"127.0.0.1:{port}", *NOTHING), tmp_path, "receiver") as receiver:
        receiver.wait_for_port(port)
        for again in (1, 2, 3):
            with peers.Process(send, tmp_path, f"sender{again}") as sender:
                wait_for(receiver, "video starts", again)
                time.sleep(1)
                sender.process.kill()
            killed = time.monotonic()
            wait_for(receiver, "no video packets for 1 s", again, 2.0)
            assert time.monotonic() - killed < 2
            opened.append(open_files(receiver))
        assert receiver.interrupt() == 0, receiver.log
        report = receiver.json()
    assert len(by_kind(report, "video")) == 3
    assert opened[2] <= opened[0] + 2, opened
    assert "Traceback" not in receiver.log


@pytest.mark.parametrize(
    ("lower", "seconds"), [("udp", 2.0), ("tcp", 2.0), pytest.param("udp", 12.0, marks=pytest.mark.slow)]
)
def test_the_cable_is_out(tmp_path: Path, lower: str, seconds: float) -> None:
    """Shorter than ten seconds the streams go on, and what was lost is counted; longer, they begin anew."""
    with machines.two_machines(tmp_path) as (here, there):
        serve = rtsp.serve("rtsp://0.0.0.0:8554/live", *PATTERN)
        play = peers.receiver(f"rtsp://{there.address}:8554/live", *NOTHING, "--rtsp-transport", lower)
        with there.run(serve, "server") as server:
            server.wait_for_text("serving")
            with here.run(play, "receiver") as receiver:
                wait_for(receiver, "video starts", 1)
                time.sleep(1)
                there.cut()
                wait_for(receiver, "no video packets for 1 s", 1, 2.0)
                time.sleep(seconds - 1)
                there.mend()
                if seconds < 10:
                    receiver.wait_for_text("video is back", 8)
                else:
                    wait_for(receiver, "video starts", 2, 12)
                time.sleep(1)
                assert receiver.interrupt() == 0, receiver.log
            report = receiver.json()
    videos = by_kind(report, "video")
    assert len(videos) == (1 if seconds < 10 else 2)
    kinds = [event["kind"] for event in report["events"]]  # type: ignore[index]
    assert "stream_silent" in kinds
    if lower == "udp" and seconds < 10:
        assert videos[0]["ledger"]["lost"] > 20
        assert "key_frame_request" in kinds
    if lower == "tcp":
        assert videos[0]["ledger"]["lost"] == 0


@pytest.mark.parametrize("lower", ["udp", "tcp"])
def test_a_receiver_that_slept(tmp_path: Path, lower: str) -> None:
    """As in a laptop that was closed for a moment: the session goes on, and so do the streams."""
    url = f"rtsp://127.0.0.1:{rtsp.free_port()}/live"
    with peers.Process(rtsp.serve(url, *PATTERN), tmp_path, "server") as server:
        server.wait_for_text("serving")
        command = peers.receiver(url, *NOTHING, "--rtsp-transport", lower)
        with peers.Process(command, tmp_path, "receiver") as receiver:
            wait_for(receiver, "video starts", 1)
            time.sleep(1)
            receiver.process.send_signal(signal.SIGSTOP)
            time.sleep(3)
            receiver.process.send_signal(signal.SIGCONT)
            time.sleep(2)
            assert receiver.interrupt() == 0, receiver.log
        report = receiver.json()
    (video,) = by_kind(report, "video")
    assert video["ledger"]["arrived"] > 100
    assert "next try" not in receiver.log
