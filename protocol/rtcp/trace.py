"""Bits as the chunks of RFC 3611 §4.1 carry them: runs of one value, or fifteen bits as they are.

0 R <14 bits: length>    a run of R
1 <15 bits>              a bit vector, the first sequence number's bit the highest
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_VECTOR, _ONES = 0x8000, 0x4000
_BITS = 15
_LONGEST = (1 << 14) - 1


def chunks(bits: NDArray[np.bool_]) -> tuple[int, ...]:
    """shape (n,). Runs longer than a vector become runs, what lies between them vectors."""
    made: list[int] = []
    ends = [*(np.flatnonzero(bits[1:] != bits[:-1]) + 1).tolist(), len(bits)]
    at = run = 0
    while at < len(bits):
        while ends[run] <= at:
            run += 1
        length = ends[run] - at
        if length > _BITS or ends[run] == len(bits):
            length = min(length, _LONGEST)
            made.append((_ONES if bits[at] else 0) | length)
            at += length
        else:
            made.append(_vector(bits[at : at + _BITS]))
            at += _BITS
    return tuple(made)


def bits(chunks: Sequence[int], count: int) -> NDArray[np.bool_]:
    """The first `count` bits of chunks, fewer when they hold fewer. shape (n,)."""
    parts, length = [np.zeros(0, bool)], 0
    for chunk in chunks:
        if length >= count:
            break
        if chunk & _VECTOR:
            part = (chunk >> np.arange(_BITS - 1, -1, -1) & 1).astype(bool)
        else:
            part = np.full(min(chunk & _LONGEST, count - length), bool(chunk & _ONES))
        parts.append(part)
        length += len(part)
    return np.concatenate(parts)[:count]


def _vector(part: NDArray[np.bool_]) -> int:
    """Bits beyond the end count as received: they are not read."""
    value = _VECTOR
    for bit in range(_BITS):
        value |= (bit >= len(part) or bool(part[bit])) << (_BITS - 1 - bit)
    return value
