"""Counts of non-negative integers in constant memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_EXACT = 64
_PER_DOUBLING = 32
_BINS = _EXACT + 57 * _PER_DOUBLING
_SMALL_BATCH = 8


def _bin(value: int) -> int:
    if value < _EXACT:
        return max(0, value)
    shift = value.bit_length() - 6
    return _EXACT + (shift - 1) * _PER_DOUBLING + (value >> shift) - _PER_DOUBLING


def _lower(index: int) -> int:
    """The least value that falls into a bin."""
    if index < _EXACT:
        return index
    shift, rest = divmod(index - _EXACT, _PER_DOUBLING)
    return (_PER_DOUBLING + rest) << (shift + 1)


_EDGES = np.array([_lower(i) for i in range(_BINS)], np.int64)


class Histogram:
    """Log-linear bins: exact below 64, then 32 bins to each doubling, so none is wider than 3.2 % of its values."""

    __slots__ = ("_counts", "_one_by_one", "total")

    def __init__(self) -> None:
        self._counts = np.zeros(_BINS, np.int64)
        self._one_by_one = self._counts.data  # quicker for a single value
        self.total = 0

    def add(self, values: NDArray[np.int64]) -> None:
        """Count each value; negative ones as 0. shape (n,)."""
        self.total += len(values)
        if len(values) <= _SMALL_BATCH:
            counts = self._one_by_one
            for value in values.tolist():
                counts[_bin(value)] += 1
            return
        index = np.searchsorted(_EDGES, values, side="right")
        self._counts += np.bincount(np.maximum(index - 1, 0), minlength=_BINS)

    def add_one(self, value: int) -> None:
        """Count this value, which is not negative."""
        self.total += 1
        self._one_by_one[_bin(value)] += 1

    def percentile(self, share: float) -> int | None:
        """The middle of the bin in which the smallest value lies that `share` (0 to 1) of all do not exceed."""
        if not self.total:
            return None
        rank = max(1, -int(-share * self.total // 1))
        index = int(np.searchsorted(np.cumsum(self._counts), rank))
        return (_lower(index) + _lower(index + 1) - 1) // 2

    def bins(self) -> dict[int, int]:
        """Count by the least value of each bin that is not empty, ascending."""
        return {_lower(int(i)): int(self._counts[i]) for i in np.flatnonzero(self._counts)}
