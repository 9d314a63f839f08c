"""The end of a session: the final range, repeated until every stream's is acknowledged, then goodbye."""

from __future__ import annotations

from collections.abc import Iterable

REPEAT = 100_000_000
PATIENCE = 2_000_000_000


class Farewell:
    """When to repeat the final range and when to stop. Times in monotonic ns."""

    def __init__(self, ssrcs: Iterable[int], now: int) -> None:
        self.waiting = set(ssrcs)
        """streams whose final range nobody has acknowledged."""
        self._next = now
        self._deadline = now + PATIENCE

    def acknowledge(self, ssrc: int, now: int) -> None:
        """A receiver has this stream's final range."""
        self.waiting.discard(ssrc)
        if not self.waiting:
            self.hurry(now)

    def hurry(self, now: int) -> None:
        """Nobody is there to wait for: end at the next occasion."""
        self._deadline = self._next = min(now, self._deadline)

    def over(self, now: int) -> bool:
        """True when the goodbye is due."""
        return now >= self._deadline or not self.waiting

    def due(self, now: int) -> bool:
        """True when the final range is to be sent (again); the next one is then later."""
        if now < self._next:
            return False
        self._next = now + REPEAT
        return True

    def next_time(self) -> int:
        """When something is due."""
        return min(self._next, self._deadline)
