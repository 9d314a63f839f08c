"""What a batch of sequence numbers looks like."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SCALAR = 8
"""numbers up to which plain Python is quicker than NumPy."""


def contiguous(numbers: NDArray[np.int64], first: int) -> bool:
    """Whether they are `first`, the first of them, and those that follow it, in order. shape (n,), n >= 1."""
    n = len(numbers)
    if n <= _SCALAR:
        return n == 1 or numbers.tolist() == list(range(first, first + n))
    return int(numbers[-1]) - first == n - 1 and bool((numbers[1:] - numbers[:-1] == 1).all())


def ascending(numbers: NDArray[np.int64]) -> bool:
    """Whether each is above the one before. shape (n,)."""
    return bool((numbers[1:] > numbers[:-1]).all())


def first_copies(numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Where each number occurs for the first time. shape (n,)."""
    first = np.ones(len(numbers), bool)
    if (numbers[1:] <= numbers[:-1]).any():
        order = np.argsort(numbers, kind="stable")
        ordered = numbers[order]
        first[order[1:][ordered[1:] == ordered[:-1]]] = False
    return first
