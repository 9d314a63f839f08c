"""Lengths of runs, put together from pieces of one long row of flags."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class RunLengths:
    """How many runs of 1, 2, 3 … consecutive set flags a row holds that is shown piece by piece."""

    __slots__ = ("_counts", "_open")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._open = 0

    def add(self, flags: NDArray[np.bool_]) -> None:
        """The next flags of the row. shape (n,)."""
        set_at = np.flatnonzero(flags)
        if not len(set_at):
            self.gap()
            return
        breaks = np.flatnonzero(np.diff(set_at) > 1)
        starts = set_at[np.concatenate(([0], breaks + 1))].tolist()
        ends = (set_at[np.concatenate((breaks, [-1]))] + 1).tolist()
        for start, end in zip(starts, ends, strict=True):
            if start:
                self.gap()
            self._open += end - start
        if ends[-1] < len(flags):
            self.gap()

    def add_run(self, length: int) -> None:
        """`length` set flags."""
        self._open += length

    def add_whole(self, length: int) -> None:
        """A run of its own, not adjoining what is shown before or after."""
        self._counts[length] = self._counts.get(length, 0) + 1

    def gap(self) -> None:
        """At least one flag that is not set."""
        if self._open:
            self.add_whole(self._open)
            self._open = 0

    def counts(self) -> dict[int, int]:
        """Number of runs by length, ascending; a run that has not ended yet counts with what it has."""
        counts = dict(self._counts)
        if self._open:
            counts[self._open] = counts.get(self._open, 0) + 1
        return dict(sorted(counts.items()))
