"""Runs of set flags in one long row that is shown piece by piece."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Run = tuple[int, int]
"""place of its first flag, and one past its last."""


class Row:
    """Where the runs of set flags lie, each told once it has ended. Stretches without any cost nothing."""

    __slots__ = ("_began", "length")

    def __init__(self) -> None:
        self.length = 0
        """flags shown."""
        self._began: int | None = None

    def add(self, flags: NDArray[np.bool_]) -> list[Run]:
        """The next flags, shape (n,); returns the runs that ended among them."""
        before = self._began is not None
        edges = np.flatnonzero(np.diff(flags, prepend=before)) + self.length
        places = edges.tolist()
        self.length += len(flags)
        if self._began is not None:
            places = [self._began, *places]
        self._began = places.pop() if len(places) % 2 else None
        return list(zip(places[::2], places[1::2], strict=True))

    def clear(self, count: int) -> list[Run]:
        """`count` flags that are not set."""
        ended = [] if self._began is None or not count else [(self._began, self.length)]
        if ended:
            self._began = None
        self.length += count
        return ended

    def set(self, count: int) -> None:
        """`count` set flags."""
        if self._began is None and count:
            self._began = self.length
        self.length += count

    @property
    def open(self) -> list[Run]:
        """The run that has not ended yet, with what it has; [] where there is none."""
        return [] if self._began is None else [(self._began, self.length)]
