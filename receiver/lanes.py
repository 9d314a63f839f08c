"""Packets interleaved in TCP connections (RFC 2326 §10.12), for the network thread like datagrams: a lane is a channel
of one connection. Its number is none of our UDP ports, so that paths and captures tell it from them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Sequence
from typing import Any, NamedTuple

from protocol.datagram import Batch
from protocol.errors import ResourceError
from receiver.queue import UdpPath

FIRST, LAST = 61_000, 65_535
"""numbers of lanes: above the ports that systems choose by themselves."""
ROOM = 4_000_000
"""octets that wait in one lane at most, as in the queue of a UDP socket,"""
ROOM_OF_ALL = 64_000_000
"""and in all of them."""

Send = Callable[[Sequence[bytes]], None]
"""Puts packets into the connection; called on the network thread, must not block."""


class LanePath(UdpPath):
    """The path of packets in a TCP connection: `port` is the lane, `address` the connection's far end."""

    __slots__ = ()


class _Waiting(NamedTuple):
    """Packets, the moments at which they were read (monotonic ns), how many were dropped just before the first, and
    after how many commands for the network thread they came."""

    packets: list[bytes]
    times: list[int]
    drops: int
    after: int


class _Lane:
    """One channel. Its drops are of packets after those that wait."""

    def __init__(self, path: LanePath, send: Send) -> None:
        self.path, self.send = path, send
        self.waiting: list[_Waiting] = []
        self.octets = self.drops = 0

    def add(self, packets: Sequence[bytes], arrival: int, after: int) -> None:
        if self.drops or not self.waiting or self.waiting[-1].after != after:
            self.waiting.append(_Waiting([], [], self.drops, after))
            self.drops = 0
        last = self.waiting[-1]
        last.packets.extend(packets)
        last.times.extend([arrival] * len(packets))
        self.octets += sum(map(len, packets))

    def take(self, done: int) -> tuple[list[Batch], int]:
        """What came before the commands that are not `done` yet, and how many octets that are."""
        ready = [part for part in self.waiting if part.after <= done]
        self.waiting = self.waiting[len(ready) :]
        if self.drops and not self.waiting:
            ready.append(_Waiting([], [], self.drops, done))
            self.drops = 0
        octets = sum(len(packet) for part in ready for packet in part.packets)
        self.octets -= octets
        return [self._batch(part) for part in ready], octets

    def _batch(self, part: _Waiting) -> Batch:
        plain = Batch.of(part.packets, 0, self.path)
        plain.arrival_times[:] = part.times
        return Batch(
            plain.buffer, plain.offsets, plain.lengths, plain.arrival_times, self.path, part.drops, steered=True
        )


class Lanes:
    """Of one transport; every method may be called from any thread. `taken`: numbers that UDP ports have; `wake`: the
    network thread has something to take."""

    def __init__(self, taken: Container[int], wake: Callable[[], None]) -> None:
        self._taken, self._wake = taken, wake
        self._lock = threading.Lock()
        self._lanes: dict[int, _Lane] = {}
        self._busy: dict[int, _Lane] = {}
        self._octets = 0
        self._next = FIRST
        self.commands: Callable[[], int] = lambda: 0
        """how many the network thread was given so far: what comes after one is taken after it, and the reverse."""
        self.dropped = 0
        """packets that found no room because the network thread was behind."""

    def __contains__(self, number: object) -> bool:
        return number in self._lanes

    def open(self, address: tuple[Any, ...], send: Send) -> LanePath:
        """A new lane, and what its packets' path will be. `address`: the connection's far end. Raises ResourceError."""
        with self._lock:
            for _ in range(FIRST, LAST + 1):
                number, self._next = self._next, self._next + 1 if self._next < LAST else FIRST
                if number not in self._lanes and number not in self._taken:
                    path = LanePath(number, address)
                    self._lanes[number] = _Lane(path, send)
                    return path
        raise ResourceError("too many channels are open in TCP connections")

    def close(self, path: UdpPath) -> None:
        """What waits in it is gone; harmless when it is closed."""
        with self._lock:
            lane = self._lanes.pop(path.port, None)
            self._busy.pop(path.port, None)
            self._octets -= 0 if lane is None else lane.octets

    def put(self, path: UdpPath, packets: Sequence[bytes], arrival: int) -> None:
        """Packets that were read at `arrival` (monotonic ns), in order; those that find no room are counted."""
        with self._lock:
            lane = self._lanes.get(path.port)
            if lane is None:
                return
            size = sum(map(len, packets))
            if lane.octets + size > ROOM or self._octets + size > ROOM_OF_ALL:
                lane.drops += len(packets)
                self.dropped += len(packets)
            else:
                lane.add(packets, arrival, self.commands())
                self._octets += size
            first = not self._busy
            self._busy[path.port] = lane
        if first:
            self._wake()

    def take(self, done: int = 0) -> list[Batch]:
        """What waits in any lane, a batch or more each. `done`: commands that were carried out."""
        if not self._busy:
            return []
        found: list[Batch] = []
        with self._lock:
            for lane in self._busy.values():
                batches, octets = lane.take(done)
                found += batches
                self._octets -= octets
            self._busy = {number: lane for number, lane in self._busy.items() if lane.waiting}
        return found

    def send(self, path: UdpPath, packets: Sequence[bytes]) -> bool:
        """False when the lane is closed."""
        lane = self._lanes.get(path.port)
        if lane is None:
            return False
        lane.send(packets)
        return True
