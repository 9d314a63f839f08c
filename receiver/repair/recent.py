"""The RTP packets of one stream that came a short while ago, whole, by extended number; bounded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

KEPT = 1024
"""numbers up to the newest."""
MAX_OCTETS = 4_000_000


class Rebuilt(NamedTuple):
    """A packet that did not come."""

    number: int
    """extended sequence number."""
    datagram: bytes
    """the whole RTP packet, as it was sent."""


class Recent:
    """Of a number that is kept the last one that was added stays."""

    def __init__(self) -> None:
        self._packets: dict[int, bytes] = {}
        self._octets = 0
        self.newest: int | None = None
        """highest number added."""
        self.floor = 0
        """numbers below are not kept."""

    def __contains__(self, number: int) -> bool:
        return number in self._packets

    def __len__(self) -> int:
        return len(self._packets)

    def get(self, number: int) -> bytes | None:
        """None where it is missing."""
        return self._packets.get(number)

    def add(self, packets: Iterable[tuple[int, bytes]]) -> None:
        """(number, RTP packet) in any order; those below the floor are not kept."""
        for number, packet in packets:
            if number < self.floor:
                continue
            self._octets += len(packet) - len(self._packets.get(number, b""))
            self._packets[number] = packet
            if self.newest is None or number > self.newest:
                self.newest = number
                self._raise(number - KEPT + 1)
            while self._octets > MAX_OCTETS:
                self._raise(min(self._packets) + 1)

    def _raise(self, floor: int) -> None:
        """Forget what is below."""
        if floor <= self.floor:
            return
        gone = range(self.floor, floor) if floor - self.floor <= KEPT else [n for n in self._packets if n < floor]
        for number in gone:
            self._octets -= len(self._packets.pop(number, b""))
        self.floor = floor
