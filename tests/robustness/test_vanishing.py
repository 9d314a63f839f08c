"""A sender that is killed, and one that stands still: said at once, played again at once, and in the report."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

from tests.support import peers


def _sender(port: int, folder: Path, name: str) -> peers.Process:
    given = ["--video", "pattern", "--size", "320x240", "--fps", "25", "--audio", "tone", "--json"]
    return peers.Process(peers.sender(f"127.0.0.1:{port}", *given), folder, name)


def _receiver(port: int, folder: Path) -> peers.Process:
    files = ("--video", folder / "out.y4m", "--audio", folder / "out.wav")
    return peers.Process(peers.receiver(f":{port}", *files, "--json"), folder, "receiver")


def _events(report: dict[str, Any], kind: str) -> list[float]:
    return [event["time_s"] for event in report["events"] if event["kind"] == kind]


def test_a_killed_sender_is_missed_and_the_next_one_played(tmp_path: Path) -> None:
    port = peers.free_ports()
    with _receiver(port, tmp_path) as receiver:
        receiver.wait_for_port(port)
        with _sender(port, tmp_path, "first") as first:
            receiver.wait_for_text("audio starts")
            time.sleep(1.5)
            first.process.kill()
            killed = time.monotonic()
        receiver.wait_for_text("no video packets for 1 s", 5)
        assert time.monotonic() - killed < 2.5
        with _sender(port, tmp_path, "second") as second:
            end = time.monotonic() + 10
            while receiver.log.count("video starts") < 2 and time.monotonic() < end:
                time.sleep(0.05)
            time.sleep(1.5)
            assert second.interrupt() == 0
        assert receiver.interrupt() == 0
        report: dict[str, Any] = receiver.json()
    first_video, second_video = (stream for stream in report["streams"] if stream["media"] == "video")
    assert first_video["freezes"]["count"] >= 1
    assert first_video["freezes"]["seconds"] > 1
    assert second_video["frames"]["rendered"] >= 25
    assert "Traceback" not in receiver.log


def test_a_sender_that_stands_still_leaves_no_delay_behind(tmp_path: Path) -> None:
    port = peers.free_ports()
    with _receiver(port, tmp_path) as receiver, _sender(port, tmp_path, "sender") as sender:
        receiver.wait_for_text("audio starts")
        time.sleep(2)
        sender.process.send_signal(signal.SIGSTOP)
        time.sleep(3)
        sender.process.send_signal(signal.SIGCONT)
        receiver.wait_for_text("video is back after")
        time.sleep(3)
        assert sender.interrupt() == 0
        assert receiver.interrupt() == 0
        report: dict[str, Any] = receiver.json()
    assert len(report["streams"]) == 2, "the same streams go on"
    for stream in report["streams"]:
        assert stream["buffer"]["target_ms"] < 300
    video = next(stream for stream in report["streams"] if stream["media"] == "video")
    assert video["freezes"]["seconds"] > 2
    assert video["frames"]["rendered"] >= 75
    assert _events(report, "stream_resumed")
