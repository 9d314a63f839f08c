"""Ten real minutes of pictures and sound with their codecs over loopback: nothing grows, at neither end."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support import peers
from tests.support.live import FPS, Feeder, Program, Reader, delays, python

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SECONDS = int(os.environ.get("STEADYCAST_SOAK_SECONDS", "600"))
LOOKS = 20
GROWTH = 8_000_000
"""bytes from a quarter of the time to the end that are no leak: allocators keep what they once needed."""


@dataclass(frozen=True, slots=True)
class Look:
    """Memory of both ends, in bytes, at one moment."""

    sender: int
    receiver: int


def test_ten_minutes_with_codecs(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "in")
    port = peers.free_ports()
    send = ("--video", tmp_path / "in", "--audio", "tone", "--video-bitrate", "1M")
    receive = ("--video", "-", "--audio", tmp_path / "sound.wav", "--report", tmp_path, "--exit-on-end")
    looks: list[Look] = []
    with ExitStack() as stack:
        command = python("receiver", f"127.0.0.1:{port}", *receive)
        receiver = stack.enter_context(Program(command, tmp_path / "receiver.log", read=True))
        reader = Reader(receiver.output())
        receiver.wait_for_port(port)
        sender = stack.enter_context(Program(python("sender", f"127.0.0.1:{port}", *send), tmp_path / "sender.log"))
        feeder = Feeder(tmp_path / "in", SECONDS * FPS)
        for part in range(1, LOOKS + 1):
            feeder.wait_for(SECONDS * FPS * part // LOOKS - 1, SECONDS)
            looks.append(Look(sender.memory(), receiver.memory()))
            print(f"{SECONDS * part // LOOKS:4} s: sender {looks[-1].sender / 1e6:.1f} MB, "
                  f"receiver {looks[-1].receiver / 1e6:.1f} MB", flush=True)  # fmt: skip
        feeder.join(10)
        sender.interrupt()
        sender.end()
        receiver.end()
        reader.join(5)
    check_memory(looks)
    check_delay(delays(feeder, reader))
    check_report(json.loads((tmp_path / "report.json").read_text()))
    assert len(reader.read) > 0.999 * SECONDS * FPS


def check_memory(looks: list[Look]) -> None:
    """Of the end against that of a quarter of the time."""
    warm, last = looks[LOOKS // 4], looks[-1]
    assert last.sender - warm.sender < GROWTH
    assert last.receiver - warm.receiver < GROWTH


def check_delay(found: np.ndarray) -> None:
    """What the last fifth of the time waited is nothing new: other work on the machine moves the delay up and down."""
    parts = [float(np.median(part)) for part in np.array_split(found, 5)]
    print("delay by fifths:", " ".join(f"{part:.1f}" for part in parts), "ms")
    assert parts[-1] < max(parts[:-1]) + 5


def check_report(report: dict[str, Any]) -> None:
    """The buffers' targets stayed, nothing was dropped on the way inside the program."""
    for stream, slack in ((stream, 15 if stream["media"] == "audio" else 10) for stream in report["streams"]):
        rows = [row for second in report["intervals"] for row in second["streams"] if row["ssrc"] == stream["ssrc"]]
        targets = [row["buffer"]["target_ms"] for row in rows]
        quarter = targets[len(targets) // 4]
        print(f"{stream['media']} target: {quarter:.1f} ms at a quarter, {targets[-1]:.1f} ms at the end")
        assert targets[-1] - quarter < slack
    assert not any((report["socket"]["queue_drops"] or {}).values())
