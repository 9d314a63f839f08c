"""The packets of one stream that were sent a short while ago, for those who missed them: bounded in time, number and
octets."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from protocol.serial import difference

KEPT_FOR = 1_000_000_000
"""ns: no receiver plays anything later than that."""
MAX_PACKETS = 1000
MAX_OCTETS = 2_000_000


@dataclass(slots=True)
class Sent:
    """A packet, and how often it was sent again."""

    datagram: bytes
    time: int
    """when it left first, monotonic ns."""
    last_time: int
    """when it left last."""
    answers: int = 0
    """requests for it that were answered."""


class History:
    """Consecutive numbers; the oldest make room."""

    def __init__(self, first: int) -> None:
        """`first`: extended number of the first packet that will be added."""
        self._packets: deque[Sent] = deque()
        self._first = first
        self._octets = 0

    def __len__(self) -> int:
        return len(self._packets)

    @property
    def end(self) -> int:
        """One past the highest extended number sent."""
        return self._first + len(self._packets)

    def add(self, datagrams: Iterable[bytes], now: int) -> None:
        """The next packets leave."""
        for datagram in datagrams:
            self._packets.append(Sent(datagram, now, now))
            self._octets += len(datagram)
        while len(self._packets) > MAX_PACKETS or self._octets > MAX_OCTETS:
            self._forget()
        while self._packets and self._packets[0].time < now - KEPT_FOR:
            self._forget()

    def extended(self, number: int) -> int:
        """The extended number nearest to the newest, of a 16-bit one."""
        return self.end - 1 + difference(number, (self.end - 1) & 0xFFFF, 16)

    def get(self, number: int) -> Sent | None:
        """By extended number; None: not sent yet, or kept no more."""
        at = number - self._first
        return self._packets[at] if 0 <= at < len(self._packets) else None

    def _forget(self) -> None:
        self._octets -= len(self._packets.popleft().datagram)
        self._first += 1
