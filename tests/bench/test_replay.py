"""How much faster than real time a capture is replayed, beside tshark's analysis of the same file."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from receiver.config import ReceiverConfig
from receiver.replay.run import run
from tests.support import peers, recording, traffic
from tests.support.clock import MILLISECOND as MS
from tests.support.clock import SECOND
from tests.support.netem import Conditions, rtp_only

pytestmark = [pytest.mark.bench, pytest.mark.timeout(400)]

SECONDS, ROUNDS, WANTED = 120, 3, 50.0
NETWORK = Conditions(delay=20 * MS, jitter=2 * MS, loss=0.01, reordering=False, only=rtp_only)


def captured(path: Path) -> int:
    """A stream of 2 Mbit/s, as a live receiver would have kept it; how many packets it has."""
    meeting, capture = recording.meet(path, NETWORK)
    for network in (meeting.forward, meeting.back):
        network.log = []  # the truth is not wanted
    meeting.run(traffic.video(SECONDS * SECOND, size=8000, key_size=24_000))
    meeting.finish()
    assert meeting.receiver is not None
    meeting.receiver.close(meeting.clock.now)
    packets = sum(stream.packets for stream in meeting.receiver.statistics().streams)
    capture.close()
    return packets


def best(work: Callable[[], object]) -> float:
    """CPU seconds of the quickest round, in this process and those it waits for: what else the machine does only
    slows it down."""
    found = []
    for _ in range(ROUNDS):
        begin = os.times()
        work()
        found.append(sum(os.times()[:4]) - sum(begin[:4]))
    return min(found)


def silent(_: object) -> None:
    return


def test_replay(tmp_path: Path) -> None:
    peers.need("tshark")
    own, plain = tmp_path / "own.pcapng", tmp_path / "plain.pcap"
    packets = captured(own)
    convert = ["tshark", "-n", "-r", str(own), "-Y", "udp", "-F", "nsecpcap", "-w", str(plain)]
    subprocess.run(convert, check=True, capture_output=True)
    print(f"\n{SECONDS} s, {packets} packets, {own.stat().st_size * 8 / SECONDS / 1e6:.1f} Mbit/s on the disk:")
    ratios = {}
    for name, path in (("call by call", own), ("by its stamps", plain)):
        taken = best(lambda path=path: run(  # type: ignore[misc]
            ReceiverConfig(), str(path), log=silent, status=silent, stop=threading.Event()))  # fmt: skip
        ratios[name] = SECONDS / taken
        print(f"replay {name:15} {taken:6.2f} s, {ratios[name]:6.1f} x real time, {packets / taken:,.0f} packets/s")
    command = [sys.executable, "-m", "receiver", "replay", str(own), "--json", "-q"]
    taken = best(lambda: subprocess.run(command, cwd=peers.ROOT, check=True, capture_output=True))
    print(f"the whole program      {taken:6.2f} s, {SECONDS / taken:6.1f} x real time")
    analysis = ["tshark", "-n", "-r", str(own), "-d", "udp.port==5004,rtp", "-q", "-z", "rtp,streams"]
    theirs = best(lambda: subprocess.run(analysis, check=True, capture_output=True))
    print(f"tshark -z rtp,streams  {theirs:6.2f} s; the whole program takes {taken / theirs:.1f} x as long")
    assert min(ratios.values()) >= WANTED
