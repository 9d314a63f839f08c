"""ITU-T G.711: 16-bit linear → 8-bit logarithmic, through one table of 65536 entries for each law."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

_ULAW_BIAS = 33 << 2
_ULAW_CLIP = 8158 << 2
"""table 2a: the 14-bit decision values end at 8159, where the magnitude has to stop."""


@cache
def ulaw_table() -> NDArray[np.uint8]:
    """shape (65536,): index is the sample as uint16. G.711 §3, table 2a/2b (14 bits, left-justified in 16)."""
    sample = _all_samples()
    magnitude = np.minimum(np.abs(sample), _ULAW_CLIP) + _ULAW_BIAS
    segment = _bit_length(magnitude) - 8
    step = (magnitude >> (segment + 3)) & 15
    code = segment << 4 | step | np.where(sample < 0, 0x80, 0)
    return (~code).astype(np.uint8)  # all bits inverted on the line


@cache
def alaw_table() -> NDArray[np.uint8]:
    """shape (65536,): index is the sample as uint16. G.711 §3, table 1a/1b (13 bits, left-justified in 16)."""
    sample = _all_samples()
    # The law has no zero: -1 is the mirror of 0.
    magnitude = np.where(sample < 0, ~sample, sample) >> 3
    segment = np.maximum(_bit_length(magnitude) - 5, 0)
    step = (magnitude >> np.maximum(segment, 1)) & 15
    code = segment << 4 | step | np.where(sample < 0, 0, 0x80)
    return (code ^ 0x55).astype(np.uint8)  # even bits inverted on the line


def encode(samples: NDArray[np.int16], table: NDArray[np.uint8]) -> bytes:
    """One byte for each sample, in memory order."""
    return table[np.ascontiguousarray(samples).view(np.uint16)].tobytes()


def _all_samples() -> NDArray[np.int64]:
    return np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int64)


def _bit_length(values: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.frexp(values.astype(np.float64))[1].astype(np.int64)
