"""Rebuilds lost packets of one stream from those of RFC 5109: where of the packets that one covers one is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from protocol import ulpfec
from protocol.errors import Malformed, ProtocolError
from protocol.serial import difference
from protocol.ulpfec import UlpFec
from receiver.repair.recent import Rebuilt, Recent

MAX_WAITING = 32
"""FEC packets; of more, the oldest go."""


@dataclass(frozen=True, slots=True)
class UlpFecStatistics:
    """FEC packets and what came of them; `received` counts all."""

    received: int
    rebuilt: int
    unneeded: int
    """nothing was missing of what they cover."""
    unsolved: int
    """more than one stayed missing."""
    waiting: int
    refused: Mapping[str, int]
    """by reason: those of protocol.ulpfec, and ulpfec_number (about packets that are not near)."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    fec: UlpFec
    covered: tuple[int, ...]
    """extended sequence numbers."""


class XorRebuilder:
    """Of one SSRC and numbering, which media and FEC packets share; sans-IO and bounded. Where all is wrapped in RED it
    is given what was inside."""

    def __init__(self, ssrc: int) -> None:
        self._ssrc = ssrc
        self._recent = Recent()
        self._types: set[int] = set()
        """payload types seen."""
        self._waiting: list[_Waiting] = []
        self._received = self._rebuilt = self._unneeded = self._unsolved = 0
        self._refused: Counter[str] = Counter()

    def observe(self, number: int, datagram: bytes) -> list[Rebuilt]:
        """A media packet is here: extended number, the whole RTP packet, which is a valid one. Returns what it helps to
        rebuild."""
        self._recent.add([(number, datagram)])
        self._types.add(datagram[1] & 0x7F)
        return self._solve() if self._waiting else []

    def repair(self, payload: bytes) -> list[Rebuilt]:
        """The payload of an FEC packet. Returns what it helps to rebuild, each packet once. Never raises: what cannot
        be used is counted."""
        self._received += 1
        try:
            fec = ulpfec.parse(payload)
            covered = self._covered(fec)
        except ProtocolError as error:
            self._refused[error.reason] += 1
            return []
        if all(number in self._recent for number in covered):
            self._unneeded += 1
            return []
        self._waiting.append(_Waiting(fec, covered))
        return self._solve()

    def statistics(self) -> UlpFecStatistics:
        """A frozen copy of everything counted."""
        return UlpFecStatistics(
            self._received, self._rebuilt, self._unneeded, self._unsolved, len(self._waiting), dict(self._refused)
        )

    def _covered(self, fec: UlpFec) -> tuple[int, ...]:
        newest = self._recent.newest
        if newest is None:
            raise Malformed("ulpfec_number", "before any media")
        base = newest + difference(fec.base, newest & 0xFFFF, 16)
        if base < self._recent.floor or base > newest + 48:
            raise Malformed("ulpfec_number", "about packets far away")
        return tuple(base + offset for offset in fec.offsets)

    def _solve(self) -> list[Rebuilt]:
        rebuilt: list[Rebuilt] = []
        while (found := self._next()) is not None:
            self._recent.add([found])
            rebuilt.append(found)
        self._rebuilt += len(rebuilt)
        return rebuilt

    def _next(self) -> Rebuilt | None:
        """A packet that can be rebuilt now; what has served, or will not, goes."""
        for waiting in [*self._waiting]:
            others = [packet for n in waiting.covered if (packet := self._recent.get(n)) is not None]
            missing = len(waiting.covered) - len(others)
            old = waiting.covered[0] < self._recent.floor or len(self._waiting) > MAX_WAITING
            if missing <= 1 or old:
                self._waiting.remove(waiting)
            self._unsolved += missing > 1 and old
            if missing == 1 and (rebuilt := self._recover(waiting, others)) is not None:
                return rebuilt
        return None

    def _recover(self, waiting: _Waiting, others: list[bytes]) -> Rebuilt | None:
        number = next(n for n in waiting.covered if n not in self._recent)
        if number < self._recent.floor:
            return None
        try:
            packet = ulpfec.recover(waiting.fec, others, number, self._ssrc)
            if packet[1] & 0x7F not in self._types:
                raise Malformed("ulpfec_inconsistent", "a payload type that this stream does not have")
            return Rebuilt(number, packet)
        except ProtocolError as error:
            self._refused[error.reason] += 1
            return None
