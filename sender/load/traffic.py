"""A pattern in time: the units that are due, and how punctually they were asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from protocol.payload.load import CLOCK_RATE
from sender.load.patterns import SECOND, Due
from sender.media import AccessUnit

LATE = 20_000_000
"""ns; what this machine is later with than that is left out: to catch up in a burst would measure something else."""
_BIN = 10_000
_BINS = LATE // _BIN + 1


@dataclass(frozen=True, slots=True)
class Punctuality:
    """How late units left the clock of the pattern, ns."""

    p50: int | None
    p99: int | None
    largest: int | None
    skipped: int
    """packets left out because this machine was too slow."""


class Traffic:
    """Units of one stream; sans-IO. Nothing is due before `begin`."""

    def __init__(self, pattern: Iterator[Due], filler: bytes) -> None:
        """`filler`: what packets are filled with, again and again."""
        self._pattern = pattern
        self._filler = filler
        self._next: Due | None = None
        self._began = 0
        self._errors = [0] * _BINS
        self._largest: int | None = None
        self.skipped = 0
        """packets."""

    def begin(self, now: int) -> None:
        """The first unit is due now."""
        self._began = now
        self._next = next(self._pattern)

    def change(self, pattern: Iterator[Due]) -> None:
        """Go on with another pattern, whose units are due after those of the one before."""
        self._pattern = pattern
        self._next = next(pattern)

    def elapsed(self, now: int) -> int:
        """ns since the beginning."""
        return now - self._began

    def due(self, now: int) -> list[AccessUnit]:
        """Everything due by now, in order."""
        units = []
        while self._next is not None and (late := now - self._began - self._next.at) >= 0:
            if late > LATE:
                self.skipped += self._next.packets
            else:
                self._errors[late // _BIN] += 1
                self._largest = max(late, self._largest or 0)
                units.append(self._unit(self._next))
            self._next = next(self._pattern)
        return units

    def next_time(self) -> int | None:
        """When the next unit is due, monotonic ns."""
        return None if self._next is None else self._began + self._next.at

    def punctuality(self) -> Punctuality:
        return Punctuality(self._percentile(0.5), self._percentile(0.99), self._largest, self.skipped)

    def _unit(self, due: Due) -> AccessUnit:
        if len(self._filler) < due.filler:
            self._filler *= -(-due.filler // len(self._filler))
        return AccessUnit(
            self._filler[: due.filler], due.at * CLOCK_RATE // SECOND, self._began + due.at, due.key_frame
        )

    def _percentile(self, share: float) -> int | None:
        wanted, seen = share * sum(self._errors), 0
        for index, count in enumerate(self._errors):
            seen += count
            if count and seen >= wanted:
                return (index + 1) * _BIN
        return None
