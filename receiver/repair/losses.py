"""What a stream lost, as soon as that can be told: repair is planned for the losses of this second, and a number's fate
is final only seconds later."""

from __future__ import annotations

from collections import deque
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from receiver.account.runs import RunLengths

_SETTLES = 200_000_000
"""ns after which a packet that others overtook is taken for lost."""


class Arrivals(Protocol):
    """Which numbers came: the ledger."""

    @property
    def highest(self) -> int | None:
        """Extended; None before the first packet."""

    def missing(self, start: int, stop: int) -> NDArray[np.bool_]:
        """Which of the numbers from `start` to below `stop` have not come."""


class Losses:
    """Of one stream."""

    def __init__(self) -> None:
        self._reached: deque[tuple[int, int]] = deque()
        """(moment, one past the highest number then)."""
        self._judged: int | None = None
        self.expected = 0
        """packets that were judged."""
        self._runs = RunLengths()

    def look(self, arrivals: Arrivals, now: int) -> None:
        """Judge what has had time to come."""
        if arrivals.highest is None:
            return
        self._reached.append((now, arrivals.highest + 1))
        until = None
        while now - self._reached[0][0] >= _SETTLES:
            until = self._reached.popleft()[1]
        if until is None:
            return
        flags = arrivals.missing(until if self._judged is None else self._judged, until)
        if len(flags):
            self._runs.observe(flags)
        self.expected += len(flags)
        self._judged = until

    @property
    def runs(self) -> dict[int, int]:
        """Length → how many runs of so many were lost; one that goes on counts with what it has."""
        return self._runs.counts()
