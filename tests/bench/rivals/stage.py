"""One system through one network once: what was seen, what went over the wire, what it cost."""

from __future__ import annotations

import json
import os
import time
import wave
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.rivals.contract import Peer, Stage
from tests.bench.viewing import Sighting, Viewer
from tests.support import media, peers
from tests.support.clock import SECOND
from tests.support.live import FPS, Feeder, Program, proxy
from tests.support.netem import IP_UDP_OVERHEAD

_TAIL, _DRAIN = 1, 2
"""s of pictures after those that are judged, so that nobody is judged on how it ends; s for what is late."""
_START = 30.0


@dataclass(frozen=True, slots=True)
class Record:
    """What one run left behind."""

    written: Mapping[int, int]
    """number of each picture → monotonic ns at which its writing began."""
    sightings: Sequence[Sighting]
    packets: Sequence[Mapping[str, Any]]
    """the proxy's log."""
    cpu: float
    """seconds of both ends while the judged pictures were written."""
    report: Mapping[str, Any] | None
    """our receiver's own report; others have none."""
    count: int
    """pictures that are judged."""

    def lateness(self) -> float:
        """ms by which the source was behind its own clock at the 99th percentile: the machine is busy, or the sender
        does not take its pictures."""
        due = np.arange(self.count) * (SECOND / FPS)
        times = np.array([self.written[number] for number in range(self.count)])
        return float(np.percentile(times - times[0] - due, 99)) / 1e6

    def octets(self, direction: str, begin: int, end: int) -> int:
        """Sent that way in this time (ns), with IP and UDP headers: what was lost on the way included."""
        sizes = (
            packet["size"] + IP_UDP_OVERHEAD
            for packet in self.packets
            if packet["direction"] == direction and begin <= packet["send_time"] < end
        )
        return sum(sizes)

    def arrived(self, begin: int, end: int) -> int:
        """Octets that came out of the forward path in this time (ns)."""
        sizes = (
            packet["size"] + IP_UDP_OVERHEAD
            for packet in self.packets
            if packet["direction"] == "forward"
            for moment in packet["arrivals"]
            if begin <= moment < end
        )
        return sum(sizes)

    def span(self) -> tuple[int, int]:
        """From the first judged picture to the end of the last (ns)."""
        return self.written[0], self.written[self.count - 1] + SECOND // FPS

    def began(self) -> int:
        """The moment from which the network counts (ns)."""
        return int(min(packet["send_time"] for packet in self.packets))


def run(peer: Peer, network: Sequence[object], seconds: int, bitrate: int, folder: Path) -> Record:
    """Plays `seconds` of the clip; AssertionError when a program does not start or ends too early."""
    folder.mkdir(parents=True)
    count = seconds * FPS
    wav = write_sound(folder / "sound.wav", seconds + 30) if peer.sound else None
    stage = Stage(folder, folder / "pictures", folder / "screen", bitrate, wav)
    plan = peer.plan(stage)
    with ExitStack() as stack:
        viewer = stack.enter_context(watched(stage.screen, raw=plan.raw))
        stack.enter_context(entrance(stage.pictures))
        command = proxy(plan.maps, *network, "--log", folder / "packets")
        between = stack.enter_context(peers.Process(command, folder, "network"))
        between.wait_for_text("ready")
        receiver = stack.enter_context(Program(plan.receiver, folder / "receiver.log"))
        if plan.binds:
            receiver.wait_for_port(plan.maps[0][1], _START)
        time.sleep(1)
        sender = stack.enter_context(Program(plan.sender, folder / "sender.log"))
        feeder = Feeder(stage.pictures, count + _TAIL * FPS, raw=plan.raw)
        feeder.wait_for(0, _START)
        feeder.wait_for(count, seconds + _START)
        cpu = sender.used() + receiver.used()
        feeder.join(_TAIL + 5)
        time.sleep(_DRAIN)
        for program in (sender, receiver):
            stop(program)
        between.stop()
    packets = [json.loads(line) for line in (folder / "packets").read_text().splitlines()]
    report = folder / "report" / "report.json"
    found = json.loads(report.read_text()) if report.exists() else None
    return Record(dict(feeder.written), tuple(viewer.sightings), packets, cpu, found, count)


@contextmanager
def entrance(path: Path) -> Iterator[None]:
    """A FIFO to write to once somebody reads it. Whoever still waits for that at the end is let go."""
    os.mkfifo(path)
    try:
        yield
    finally:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))


@contextmanager
def watched(path: Path, *, raw: bool) -> Iterator[Viewer]:
    """A FIFO whose pictures are seen; it ends with the context, not with a program that closes it."""
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writing = os.open(path, os.O_WRONLY)
    os.set_blocking(reading, True)
    viewer = Viewer(reading, raw=raw)
    try:
        yield viewer
    finally:
        os.close(writing)
        viewer.join(5)


def stop(program: Program) -> None:
    """Ctrl-C, and after 5 s the hard way (on leaving the program's context)."""
    program.interrupt()
    with suppress(AssertionError):
        program.end(5)


def write_sound(path: Path, seconds: int) -> Path:
    """The reference sound as a 16-bit WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, media.RATE, 0, "NONE", ""))
        file.writeframes(np.round(media.sound(seconds) * 32767).astype("<i2").tobytes())
    return path
