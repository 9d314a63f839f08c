"""How soon the first picture is there: from the sender's first packet, and for a receiver that joins in the middle."""

from __future__ import annotations

import json
import os
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from tests.support import peers
from tests.support.live import FPS, Feeder, Program, Reader, proxy, python, show

pytestmark = [pytest.mark.bench, pytest.mark.timeout(240)]

RUNS = 5
DELAY = 50
"""ms of the network, one way."""
LIMIT = 500.0
"""ms, without the network."""


def play(folder: Path, *, join_after: float) -> float:
    """ms to the first picture: from the first packet that left, or, `join_after` s into the stream, from the moment
    the receiver listened."""
    folder.mkdir()
    os.mkfifo(folder / "in")
    front, rear = peers.free_ports(), peers.free_ports()
    network = proxy([(front + i, rear + i) for i in range(4)], "--delay", DELAY, "--log", folder / "packets")
    send = python("sender", f"127.0.0.1:{front}", "--video", folder / "in", "--audio", "none", "--video-bitrate", "1M")
    receive = python("receiver", f"127.0.0.1:{rear}", "--video", "-", "--audio", "none", "--exit-on-end")
    with ExitStack() as stack:
        between = stack.enter_context(peers.Process(network, folder, "proxy"))
        between.wait_for_text("ready")
        if not join_after:
            receiver = stack.enter_context(Program(receive, folder / "receiver.log", read=True))
            receiver.wait_for_port(rear)
        sender = stack.enter_context(Program(send, folder / "sender.log"))
        feeder = Feeder(folder / "in", round(FPS * (join_after + 4)))
        if join_after:
            feeder.wait_for(round(FPS * join_after))
            receiver = stack.enter_context(Program(receive, folder / "receiver.log", read=True))
            receiver.wait_for_port(rear)
        listening = time.monotonic_ns()
        reader = Reader(receiver.output())
        feeder.join(30)
        sender.end()
        receiver.end()
        reader.join(5)
        between.interrupt()
    begin = listening if join_after else first_packet(folder / "packets")
    return (min(reader.read.values()) - begin) / 1e6


def first_packet(log: Path) -> int:
    """Monotonic ns at which the sender's first RTP packet reached the network."""
    lines = map(json.loads, log.read_text().splitlines())
    return min(line["send_time"] for line in lines if line["direction"] == "forward" and "sequence" in line)


def test_first_picture(tmp_path: Path) -> None:
    from_start = np.array([play(tmp_path / f"start-{i}", join_after=0) for i in range(RUNS)])
    joined = np.array([play(tmp_path / f"join-{i}", join_after=2 + 0.37 * i) for i in range(RUNS)])
    print(f"\n{DELAY} ms one way:")
    show("first packet to picture", from_start)
    show("joined to picture", joined)
    assert np.median(from_start) <= LIMIT + DELAY
    assert np.median(joined) <= LIMIT + 2 * DELAY
