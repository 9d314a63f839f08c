"""Samples by position: what was pushed and not yet pulled, and a little of what was."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class SampleRing:
    """One contiguous stretch of a signal, addressed by absolute position; before it everything is silence."""

    def __init__(self, capacity: int, channels: int, position: int) -> None:
        self._buffer = np.zeros((2 * capacity, channels), np.float32)
        self._capacity = capacity
        self._base = position - capacity // 4
        """position of the buffer's first row."""
        self.end = position
        """one past the last sample."""

    def append(self, samples: NDArray[np.float32]) -> None:
        """Sound that follows; at most `capacity` of it is kept, the oldest goes first."""
        samples = samples[-self._capacity :]
        if self.end + len(samples) - self._base > len(self._buffer):
            self._compact()
        row = self.end - self._base
        self._buffer[row : row + len(samples)] = samples
        self.end += len(samples)

    def view(self, first: int, end: int) -> NDArray[np.float32]:
        """Positions from `first` to below `end`, which must have been written (or lie less than a quarter of the
        capacity before all that was); the array is valid until the next append."""
        return self._buffer[first - self._base : end - self._base]

    def _compact(self) -> None:
        kept = self._buffer[self.end - self._base - self._capacity : self.end - self._base].copy()
        self._buffer[: self._capacity] = kept
        self._base = self.end - self._capacity
