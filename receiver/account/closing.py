"""Numbers whose fate is final: their sums, their runs, their intervals, and who else is told."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from receiver.account.intervals import Fates, Intervals
from receiver.account.runs import FateObserver, RunLengths
from receiver.account.states import ARRIVED, LATE, tally

_SECOND = 1_000_000_000
_NONE = [0] * 8
_ARRIVED, _IN_TIME, _MISSED = 0, 2, 5


def drain(longest_rtt: int, playout_delay: int, *, final_range_known: bool) -> int:
    """ns for which numbers that were assigned may still arrive (measurement.md); an RTT of 0 is not known."""
    if final_range_known:
        return max(3 * longest_rtt, _SECOND // 2)
    return max(4 * _SECOND, 3 * longest_rtt, playout_delay + _SECOND)


class Closing:
    """Is shown every number once, in order."""

    def __init__(self, observers: Sequence[FateObserver], loss_observers: Sequence[FateObserver]) -> None:
        self.lost = self.late = 0
        self.loss_runs, self.late_runs = RunLengths(), RunLengths()
        self.intervals = Intervals(0, 0)
        self._fates = list(_NONE)
        """since the interval before closed."""
        self._bad_observers = tuple(observers)
        self._loss_observers = (self.loss_runs, *loss_observers)
        self._observers = (*self._loss_observers, self.late_runs, *self._bad_observers)

    def start(self, first: int, now: int) -> None:
        """The first number is known."""
        self.intervals = Intervals(first, now)

    def lost_head(self, first: int, end: int) -> None:
        """Nothing came of these, and later ones have closed."""
        self.lost += end - first
        self.loss_runs.add_whole(end - first)
        self.intervals.prepend(first, end)

    def all_in_time(self, n: int) -> None:
        """The next `n` numbers, in time every one, and no copies."""
        self._fates[_ARRIVED] += n
        self._fates[_IN_TIME] += n
        for observer in self._observers:
            observer.good(n)

    def all_lost(self, n: int) -> None:
        """Nothing came of the next `n`."""
        self.lost += n
        self._fates[_MISSED] += n
        self.late_runs.good(n)
        for observer in (*self._loss_observers, *self._bad_observers):
            observer.bad(n)

    def mixed(self, states: NDArray[np.uint8]) -> None:
        """The next numbers, decided. shape (n,)."""
        counts = tally(states)
        self._fates = [a + b for a, b in zip(self._fates, counts, strict=True)]
        lost, late = (states & ARRIVED) == 0, (states & LATE) != 0
        self.lost += len(states) - counts[0]
        self.late += counts[6]
        self.late_runs.observe(late)
        for observer in self._loss_observers:
            observer.observe(lost)
        bad = lost | late
        for observer in self._bad_observers:
            observer.observe(bad)

    def reached(self, number: int) -> None:
        """All numbers below have been shown: an interval that ends there is final."""
        if self.intervals.ends_at(number):
            self.intervals.close(number, Fates(*self._fates))
            self._fates = list(_NONE)
