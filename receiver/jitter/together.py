"""How many packets of a batch can be put into a jitter buffer at once, when something falls due within the batch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def together(numbers: NDArray[np.int64], arrival_times: NDArray[np.int64], highest: int, waiting: int | None) -> int:
    """Of these packets, shapes (n,), n >= 1: the first so many, before and between which nothing is given up.

    `highest`: number held so far; `waiting`: deadline (monotonic ns) of the hole in front, None: there is none. While
    there is none, packets in order leave none. Behind one, whatever comes above it changes nothing until its deadline.
    """
    if waiting is None:
        stop = numbers != highest + 1 + np.arange(len(numbers))
    else:
        stop = arrival_times > waiting
        stop |= numbers <= np.concatenate(([highest], numbers[:-1]))
    return max(1, int(stop.argmax())) if stop.any() else len(numbers)
