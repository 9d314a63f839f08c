"""Lengths of runs, put together from pieces of one long row of flags."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class FateObserver(Protocol):
    """Is shown one flag for each number as it closes, in the order of the numbers, piece by piece: set where the
    packet was bad (what that means is said where it is handed over)."""

    def good(self, n: int, /) -> None:
        """The next `n` flags are not set: by far the most frequent call. n >= 1."""

    def bad(self, n: int, /) -> None:
        """The next `n` flags are set; `n` may be too large for an array. n >= 1."""

    def observe(self, flags: NDArray[np.bool_], /) -> None:
        """The next flags, some of which may be set. shape (n,), n >= 1; not kept."""


class RunLengths:
    """How many runs of 1, 2, 3 … consecutive set flags a row holds; a FateObserver."""

    __slots__ = ("_counts", "_open")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._open = 0

    def observe(self, flags: NDArray[np.bool_]) -> None:
        """The next flags of the row. shape (n,)."""
        set_at = np.flatnonzero(flags)
        if not len(set_at):
            self.good(len(flags))
            return
        breaks = np.flatnonzero(np.diff(set_at) > 1)
        starts = set_at[np.concatenate(([0], breaks + 1))]
        ends = set_at[np.concatenate((breaks, [-1]))] + 1
        lengths = (ends - starts).tolist()
        if starts[0]:
            self._end_run()
        for length in lengths[:-1]:
            self._open += length
            self._end_run()
        self._open += lengths[-1]
        if ends[-1] < len(flags):
            self._end_run()

    def good(self, n: int) -> None:  # noqa: ARG002
        """Flags that are not set."""
        self._end_run()

    def bad(self, n: int) -> None:
        """Flags that are set."""
        self._open += n

    def add_whole(self, length: int) -> None:
        """A run of its own, not adjoining what is shown before or after."""
        self._counts[length] = self._counts.get(length, 0) + 1

    def _end_run(self) -> None:
        if self._open:
            self.add_whole(self._open)
            self._open = 0

    def counts(self) -> dict[int, int]:
        """Number of runs by length, ascending; a run that has not ended yet counts with what it has."""
        counts = dict(self._counts)
        if self._open:
            counts[self._open] = counts.get(self._open, 0) + 1
        return dict(sorted(counts.items()))
