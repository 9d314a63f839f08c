"""Reordering of first copies as RFC 4737 defines it: extent and late time of each reordered packet."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from receiver.account.histogram import Histogram

_SCALAR = 8
"""packets up to which plain Python is quicker than NumPy."""
_SMALLEST, _KEPT = 512, 16384
"""arrivals that set a new highest number and can still be compared with; an older one counts as the oldest kept."""


class Reordering:
    """Singleton metrics of RFC 4737 §3 and §4 over first copies in the order of their arrival.

    The first packet with a higher number than s to arrive (j of §4.2.1) was always a new highest number when it
    came, so only those are kept: number, place in the order of arrival, and time, all ascending.
    """

    __slots__ = ("_fill", "_records", "_rows", "arrivals", "extents", "floor", "highest", "late_times", "reordered")

    def __init__(self) -> None:
        self.highest = -1
        """NextExp - 1."""
        self.arrivals = 0
        self.reordered = 0
        self.extents = Histogram()
        """packets, §4.2.1."""
        self.late_times = Histogram()
        """µs, §4.3: the buffer that would have restored the order."""
        self.floor = 0
        """no number below it comes any more."""
        self._allocate(2 * _SMALLEST)
        self._fill = 0

    def advance(self, numbers: NDArray[np.int64], times: NDArray[np.int64]) -> None:
        """Ascending numbers, all above the highest one. shapes (n,)."""
        n = len(numbers)
        if n <= _SCALAR:
            for number, time in zip(numbers.tolist(), times.tolist(), strict=True):
                self.advance_one(number, time)
            return
        self._append(numbers, np.arange(self.arrivals, self.arrivals + n), times)
        self.arrivals += n
        self.highest = numbers.item(-1)

    def advance_one(self, number: int, time: int) -> None:
        """As `advance`, of one packet."""
        fill = self._fill
        if fill == self._records.shape[1]:
            self._make_room(1)
            fill = self._fill
        of_number, of_place, of_time = self._rows
        of_number[fill], of_place[fill], of_time[fill] = number, self.arrivals, time
        self._fill = fill + 1
        self.arrivals += 1
        self.highest = number

    @property
    def newest_time(self) -> int:
        """When the highest number arrived; 0 before the first."""
        return int(self._records[2, self._fill - 1]) if self._fill else 0

    def arrive(self, numbers: NDArray[np.int64], times: NDArray[np.int64]) -> NDArray[np.int64]:
        """First copies in the order of their arrival, shape (n,). Returns those that are reordered."""
        n = len(numbers)
        if not n:
            return numbers
        places = np.arange(self.arrivals, self.arrivals + n)
        above = np.maximum.accumulate(np.concatenate(([self.highest], numbers)))
        new_highest = numbers > above[:-1]
        self._append(numbers[new_highest], places[new_highest], times[new_highest])
        self.arrivals += n
        self.highest = int(above[-1])
        if new_highest.all():
            return numbers[:0]
        late = ~new_highest
        self._reordered(numbers[late], places[late], times[late])
        return numbers[late]

    def _reordered(self, numbers: NDArray[np.int64], places: NDArray[np.int64], times: NDArray[np.int64]) -> None:
        first_above = np.searchsorted(self._records[0, : self._fill], numbers, side="right")
        self.reordered += len(numbers)
        self.extents.add(places - self._records[1, first_above])
        self.late_times.add((times - self._records[2, first_above]) // 1000)

    def _append(self, numbers: NDArray[np.int64], places: NDArray[np.int64], times: NDArray[np.int64]) -> None:
        for start in range(0, len(numbers), _KEPT):
            part = slice(start, start + _KEPT)
            n = len(numbers[part])
            if self._fill + n > self._records.shape[1]:
                self._make_room(n)
            at = slice(self._fill, self._fill + n)
            self._records[0, at] = numbers[part]
            self._records[1, at] = places[part]
            self._records[2, at] = times[part]
            self._fill += n

    def _allocate(self, size: int) -> None:
        self._records = np.empty((3, size), np.int64)
        self._rows = [row.data for row in self._records]  # quicker for a single value

    def _make_room(self, n: int) -> None:
        """For `n` more, at most _KEPT: first goes what no number will be compared with any more; where that is too
        little there is more memory, and at last the oldest go."""
        fill, size = self._fill, self._records.shape[1]
        first = min(int(np.searchsorted(self._records[0, :fill], self.floor)), fill - 1)
        while fill - first + n > size // 2 and size < 2 * _KEPT:
            size *= 2
        if fill - first + n > size // 2:
            first = max(first, fill - _KEPT)
        kept = self._records[:, first:fill].copy()
        if size != self._records.shape[1]:
            self._allocate(size)
        self._fill = fill - first
        self._records[:, : self._fill] = kept
