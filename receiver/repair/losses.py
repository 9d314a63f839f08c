"""What a stream lost, as soon as that can be told: repair is planned for the losses of this second, and a number's fate
is final only seconds later."""

from __future__ import annotations

from collections import Counter, deque
from typing import Protocol

_SETTLES = 200_000_000
"""ns after which a packet that others overtook is taken for lost."""


class Arrivals(Protocol):
    """Which numbers came: the ledger."""

    @property
    def highest(self) -> int | None:
        """Extended; None before the first packet."""

    def missing_runs(self, start: int, stop: int) -> list[tuple[int, int]]:
        """Runs of numbers that have not come, of those from `start` to below `stop`: (first, length), ascending."""


class Losses:
    """Of one stream."""

    def __init__(self) -> None:
        self._reached: deque[tuple[int, int]] = deque()
        """(moment, one past the highest number then)."""
        self._judged: int | None = None
        self.expected = 0
        """packets that were judged."""
        self.runs: Counter[int] = Counter()
        """length → how many runs of so many were lost."""

    def look(self, arrivals: Arrivals, now: int) -> None:
        """Judge what has had time to come. A run that has not ended is left for the next look."""
        if arrivals.highest is None:
            return
        self._reached.append((now, arrivals.highest + 1))
        until = None
        while now - self._reached[0][0] >= _SETTLES:
            until = self._reached.popleft()[1]
        if until is not None:
            self._judge(arrivals, until)

    def _judge(self, arrivals: Arrivals, until: int) -> None:
        start = until if self._judged is None else self._judged
        runs = arrivals.missing_runs(start, until)
        if runs and sum(runs[-1]) == until:
            until = runs.pop()[0]
        self.expected += max(0, until - start)
        self.runs.update(length for _, length in runs)
        self._judged = max(start, until)
