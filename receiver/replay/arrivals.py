"""From a capture's packets to datagrams at their moments on a clock that never runs backwards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from protocol.datagram import Batch
from protocol.errors import Malformed
from receiver.capture import journal
from receiver.capture.link import Datagram, Unwrapper
from receiver.capture.records import Packet
from receiver.replay.survey import LONGEST_SILENCE, host, is_rtp
from receiver.transport import UdpPath

STEP = 100_000_000
"""ns backwards from which on somebody has set the clock; less is how several queues of a network card are merged."""
TOGETHER = 1_000_000
"""ns within which datagrams of one path make one batch, as in the receiver while many come."""

_MOST_PATHS = 1024
_ZERO = np.zeros(1, np.int64)


class Arrival(NamedTuple):
    time: int
    """monotonic ns."""
    path: UdpPath
    data: bytes


@dataclass(slots=True)
class Stamps:
    """Makes a capture's stamps monotonic: after a step backwards, or of more than an hour forwards, time goes on from
    where it was; a stamp a little before the last one counts as the last one."""

    last: int
    """the stamp before, or when the capture began; then what was made of it."""
    offset: int = 0
    """ns added to a stamp."""
    steps: int = 0
    """times that the clock was set."""
    disordered: int = 0
    """packets a little out of order."""

    def monotonic(self, time: int) -> int:
        time += self.offset
        if time < self.last - STEP or time > self.last + LONGEST_SILENCE:
            self.steps += 1
            self.offset += self.last - time
        elif time < self.last:
            self.disordered += 1
        else:
            self.last = time
        return self.last


class Paths:
    """One path for all datagrams between the same ends."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, int, int], UdpPath] = {}

    def of(self, datagram: Datagram) -> UdpPath:
        key = datagram.source, datagram.source_port, datagram.destination_port
        path = self._known.get(key)
        if path is None:
            if len(self._known) >= _MOST_PATHS:
                self._known.clear()
            path = self._known[key] = UdpPath(key[2], (host(key[0]), key[1]))
        return path


class OwnPaths:
    """Of packets whose headers we wrote ourselves: there is nothing to look for in them."""

    def __init__(self) -> None:
        self._paths = Paths()
        self._known: dict[bytes, UdpPath] = {}

    def arrival(self, packet: Packet, offset: int) -> Arrival:
        """`offset`: the packet's stamp minus the monotonic time. Raises Malformed."""
        data = packet.data
        size, ends = (28, data[12:24]) if data[:1] == b"\x45" else (48, data[8:44])
        path = self._known.get(ends)
        if path is None:
            datagram = Unwrapper().unwrap(packet)
            if datagram is None:
                raise Malformed("journal", "a packet that is no datagram")
            if len(self._known) >= _MOST_PATHS:
                self._known.clear()
            path = self._known[ends] = self._paths.of(datagram)
        return Arrival(packet.time - offset, path, data[size:])


def usable(datagram: Datagram) -> bytes | None:
    """The datagram as it was, as far as it was captured. Of RTP the header counts, and zeros stand for the rest; of
    RTCP the packets that are whole; None where nothing of use is left."""
    data, missing = datagram.payload, datagram.length - len(datagram.payload)
    if not missing:
        return data
    if is_rtp(data):
        return bytes([data[0] & ~0x20]) + data[1:] + bytes(missing)  # how much padding it had is among what is missing
    return _whole_packets(data) or None


def _whole_packets(data: bytes) -> bytes:
    """RTCP up to the last packet that is whole (RFC 3550 §6.1)."""
    at = 0
    while at + 4 <= len(data):
        size = (int.from_bytes(data[at + 2 : at + 4], "big") + 1) * 4
        if at + size > len(data):
            break
        at += size
    return data[:at]


_NO_CALL = journal.Datagrams(0, 1)


def batch(arrivals: list[Arrival], call: journal.Datagrams = _NO_CALL) -> Batch:
    """Arrivals along one path, and what else the call that they came in said."""
    told = call.kernel_drops, call.drops_exact, call.steered, call.authentic
    if len(arrivals) == 1:
        moment, path, data = arrivals[0]
        length, time = np.array([[len(data)], [moment]], np.int64)
        return Batch(np.frombuffer(data, np.uint8), _ZERO, length, time, path, *told)
    times, paths, pieces = zip(*arrivals, strict=True)
    sizes = [*map(len, pieces)]
    starts = [*accumulate(sizes, initial=0)][:-1]
    offsets, lengths, arrival_times = np.array([starts, sizes, times])
    buffer = np.frombuffer(b"".join(pieces), np.uint8)
    return Batch(buffer, offsets, lengths, arrival_times, paths[0], *told)


def batches(arrivals: Iterable[Arrival]) -> Iterator[Batch]:
    """What comes along one path within a millisecond, together."""
    together: list[Arrival] = []
    for arrival in arrivals:
        if together and (arrival.path != together[0].path or arrival.time - together[0].time > TOGETHER):
            yield batch(together)
            together = []
        together.append(arrival)
    if together:
        yield batch(together)
