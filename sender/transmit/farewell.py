"""The end of a session: the final range, repeated until every stream's is acknowledged, then goodbye."""

from __future__ import annotations

from collections.abc import Iterable

REPEAT = 100_000_000
PATIENCE = 2_000_000_000
REPORTS = 2_500_000_000
"""ns that announced reports are waited for: the receiver lets what is on its way arrive first."""


class Farewell:
    """When to repeat the final range and when to stop. Times in monotonic ns."""

    def __init__(self, ssrcs: Iterable[int], now: int) -> None:
        self.waiting = set(ssrcs)
        """streams whose final range nobody has acknowledged."""
        self._next = now
        self._deadline = now + PATIENCE
        self._reporters: set[int] = set()

    def acknowledge(self, ssrc: int, now: int, reporter: int | None = None) -> None:
        """A receiver has this stream's final range; as `reporter` it will send its report."""
        self.waiting.discard(ssrc)
        if reporter is not None and not self._reporters:
            self._deadline = now + REPORTS
        if reporter is not None:
            self._reporters.add(reporter)
        if not self.waiting and not self._reporters:
            self.hurry(now)

    def reported(self, reporter: int) -> None:
        """Its report is here."""
        self._reporters.discard(reporter)

    def hurry(self, now: int) -> None:
        """Nobody is there to wait for: end at the next occasion."""
        self._deadline = self._next = min(now, self._deadline)

    def over(self, now: int, *, busy: bool = False) -> bool:
        """True when the goodbye is due; `busy`: our own report is on its way."""
        return now >= self._deadline or not (self.waiting or self._reporters or busy)

    def due(self, now: int) -> bool:
        """True when the final range is to be sent (again); the next one is then later."""
        if now < self._next:
            return False
        self._next = now + REPEAT
        return True

    def next_time(self) -> int:
        """When something is due."""
        return min(self._next, self._deadline)
