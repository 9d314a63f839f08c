"""A window of one byte for each of consecutive numbers, in a ring that grows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


class StateRing:
    """States outside the window are 0. `data` and `states` are the same memory: quick for one, and for many."""

    __slots__ = ("data", "mask", "states")

    def __init__(self, size: int) -> None:
        """`size` is a power of two."""
        self._allocate(size)

    def _allocate(self, size: int) -> None:
        self.data = bytearray(size)
        self.states: NDArray[np.uint8] = np.frombuffer(self.data, np.uint8)
        self.mask = size - 1

    def __len__(self) -> int:
        return len(self.data)

    def reserve(self, size: int, first: int, end: int) -> None:
        """Room for `size` numbers; those from `first` to below `end` keep their states."""
        if size <= len(self.data):
            return
        numbers = np.arange(first, end)
        states = self.states[numbers & self.mask]
        self._allocate(1 << (size - 1).bit_length())
        self.states[numbers & self.mask] = states

    def fill(self, first: int, end: int, state: int) -> None:
        """This state for the numbers from `first` to below `end`."""
        if end == first + 1:
            self.data[first & self.mask] = state
            return
        for start, stop in self.pieces(first, end):
            self.data[start:stop] = bytes((state,)) * (stop - start)

    def pieces(self, first: int, end: int) -> Iterator[tuple[int, int]]:
        """The one or two stretches of memory that hold the numbers from `first` to below `end`."""
        if end <= first:
            return
        at, size = first & self.mask, end - first
        room = len(self.data) - at
        yield at, at + min(size, room)
        if size > room:
            yield 0, size - room
