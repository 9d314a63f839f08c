"""Figures for stretches of a second that never change again: an interval is a range of numbers, not a span of time.

Its numbers became known to be assigned within about a second. Only when all of them have closed does it become a row,
so a straggler is booked where its number belongs, and the rows add up to the final ledger.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

SECOND = 1_000_000_000
RECENT, OLD = 500, 500
"""rows kept of one second each, and of several seconds each before them."""


@dataclass(frozen=True, slots=True)
class Interval:
    """What became of the numbers from `first` to below `end`, in packets; `sent` = `arrived` + `lost`."""

    first: int
    """extended sequence number."""
    end: int
    began: int
    """monotonic ns from which on its numbers became known."""
    ended: int
    sent: int
    arrived: int
    lost: int
    lost_local: int
    in_time: int
    recovered_rtx: int
    recovered_fec: int
    missed: int
    late: int
    arrived_after_recovery: int
    duplicates: int
    reordered: int


_SUMS = tuple(field.name for field in fields(Interval))[4:]


def joined(a: Interval, b: Interval) -> Interval:
    """Two neighbours as one."""
    return Interval(a.first, b.end, a.began, b.ended, *(getattr(a, name) + getattr(b, name) for name in _SUMS))


@dataclass(frozen=True, slots=True)
class Fates:
    """Packets of closed numbers by what became of them."""

    arrived: int = 0
    lost_local: int = 0
    in_time: int = 0
    recovered_rtx: int = 0
    recovered_fec: int = 0
    missed: int = 0
    late: int = 0
    arrived_after_recovery: int = 0


@dataclass(slots=True)
class _Cut:
    """An interval that is not final."""

    began: int
    ended: int = 0
    end: int = 0
    duplicates: int = 0
    reordered: int = 0


class Intervals:
    """Cuts a numbering into intervals; in constant memory: older rows are joined to longer ones of equal length."""

    def __init__(self, first: int, now: int) -> None:
        self._first = first
        self._began = now
        self._edge = first
        self._open = _Cut(now)
        self._cuts: deque[_Cut] = deque()
        self._recent: deque[Interval] = deque()
        self._old: list[Interval] = []
        self._weight, self._in_newest_old = 1, 0

    def rows(self) -> tuple[Interval, ...]:
        """The final ones, in order, without a gap."""
        return (*self._old, *self._recent)

    def lower(self, first: int) -> None:
        """The first interval begins at an earlier number; nothing has closed."""
        self._first = first

    def prepend(self, first: int, end: int) -> None:
        """A head of which nothing came, learnt of after the first number closed."""
        n = end - first
        row = Interval(first, end, self._began, self._began, n, 0, n, 0, 0, 0, 0, n, 0, 0, 0, 0)
        if self._old:
            self._old[0] = joined(row, self._old[0])
        else:
            self._recent.appendleft(row)

    def cut(self, end: int, now: int, length: int = SECOND) -> None:
        """Numbers below `end` are known to be assigned by `now`: a new interval begins there once `length` is over."""
        now = max(now, self._open.began)
        if now - self._open.began < length:
            return
        if end > self._edge:
            self._open.end, self._open.ended = end, now
            self._cuts.append(self._open)
            self._edge = end
            self._open = _Cut(now)
        elif not (self._open.duplicates or self._open.reordered):  # silence
            self._open.began = now

    def stop(self, until: int) -> int:
        """How far numbers may close at once on the way to `until`."""
        return min(until, self._cuts[0].end) if self._cuts else until

    def close(self, until: int, fates: Fates) -> None:
        """All below `until`, which `stop` allowed, has closed; `fates` of what did since the row before."""
        cut = self._cuts.popleft()
        n = until - self._first
        self._keep(
            Interval(
                self._first, until, cut.began, cut.ended, n, fates.arrived, n - fates.arrived, fates.lost_local,
                fates.in_time, fates.recovered_rtx, fates.recovered_fec, fates.missed, fates.late,
                fates.arrived_after_recovery, cut.duplicates, cut.reordered,
            )
        )  # fmt: skip
        self._first = until

    def ends_at(self, number: int) -> bool:
        """Whether an interval that is not final ends there."""
        return bool(self._cuts) and self._cuts[0].end == number

    def duplicated(self, numbers: NDArray[np.int64]) -> None:
        """Extra copies of these open numbers came. shape (n,)."""
        for cut, count in self._by_interval(numbers):
            cut.duplicates += count

    def reordered(self, numbers: NDArray[np.int64]) -> None:
        """These open numbers came out of order. shape (n,)."""
        for cut, count in self._by_interval(numbers):
            cut.reordered += count

    def _by_interval(self, numbers: NDArray[np.int64]) -> list[tuple[_Cut, int]]:
        ends = [cut.end for cut in self._cuts]
        cuts = [*self._cuts, self._open]
        if len(numbers) == 1:
            return [(cuts[bisect_right(ends, int(numbers[0]))], 1)]
        places = np.searchsorted(np.array(ends, np.int64), numbers, side="right")
        return list(zip(cuts, np.bincount(places, minlength=len(cuts)).tolist(), strict=True))

    def _keep(self, row: Interval) -> None:
        self._recent.append(row)
        if len(self._recent) <= RECENT:
            return
        row = self._recent.popleft()
        if self._in_newest_old < self._weight and self._old:
            self._old[-1] = joined(self._old[-1], row)
            self._in_newest_old += 1
        else:
            self._old.append(row)
            self._in_newest_old = 1
        if len(self._old) > OLD:
            pairs = zip(self._old[:-1:2], self._old[1::2], strict=True)
            self._old = [*(joined(a, b) for a, b in pairs), self._old[-1]]
            self._weight *= 2
