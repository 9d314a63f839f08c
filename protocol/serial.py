"""Serial-number arithmetic (RFC 1982) for RTP's 16-bit sequence numbers and 32-bit timestamps."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def difference(a: int, b: int, bits: int) -> int:
    """Signed shortest way from b to a on a circle of 2**bits; half the circle counts as backward."""
    half = 1 << (bits - 1)
    return ((a - b + half) & ((1 << bits) - 1)) - half


class Unwrapper:
    """Extends wrapped numbers to 64 bits, each relative to the newest seen so far (RFC 3550 A.1).

    The first number is extended to `start` cycles above zero, so that earlier ones stay positive.
    """

    __slots__ = ("bits", "newest", "start")

    def __init__(self, bits: int, start: int = 1) -> None:
        self.bits = bits
        self.start = start
        self.newest: int | None = None

    def peek(self, value: int) -> int:
        """The extended number, without learning from it."""
        if self.newest is None:
            return (self.start << self.bits) + value
        return self.newest + difference(value, self.newest, self.bits)

    def unwrap(self, value: int) -> int:
        """The extended number; a higher one becomes the reference."""
        extended = self.peek(value)
        if self.newest is None or extended > self.newest:
            self.newest = extended
        return extended

    def unwrap_batch(self, values: NDArray[Any]) -> NDArray[np.int64]:
        """`unwrap` of each in turn. shape (n,) of wrapped numbers -> (n,) int64."""
        wrapped = values.astype(np.int64)
        if not len(wrapped):
            return wrapped
        half, mask = 1 << (self.bits - 1), (1 << self.bits) - 1
        first = self.peek(int(wrapped[0]))
        extended = np.empty_like(wrapped)
        extended[0] = 0
        np.cumsum(((wrapped[1:] - wrapped[:-1] + half) & mask) - half, out=extended[1:])
        extended += first
        before = first if self.newest is None else self.newest
        highest = max(int(extended.max()), before)
        if highest - min(int(extended.min()), before) >= half:  # neighbours mislead: far-off numbers among them
            return np.array([self.unwrap(int(value)) for value in wrapped], np.int64)
        self.newest = highest
        return extended
