"""What is kept of one number, in a byte, and what it comes to."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from receiver.account.intervals import Fates

ARRIVED, LATE, RTX, FEC, LOCAL, COPIED = 1, 2, 4, 8, 16, 32
"""The original came; after its deadline; it was repaired before its deadline; dropped by this machine; it came again.

Once decided, RTX and FEC stand only where the repair was the listener's."""
REPAIRED = RTX | FEC
_STATES = 64


def _fates(state: int) -> list[int]:
    """One decided number as a Fates."""
    arrived, late, repaired = bool(state & ARRIVED), bool(state & LATE), bool(state & REPAIRED)
    return [
        arrived,
        bool(state & LOCAL) and not arrived,
        arrived and not late and not repaired,
        bool(state & RTX),
        bool(state & FEC) and not state & RTX,
        not repaired and (late or not arrived),
        late,
        arrived and repaired,
    ]


_TABLE = np.array([_fates(state) for state in range(_STATES)], np.int64)
assert _TABLE.shape[1] == len(fields(Fates))


def decide(states: NDArray[np.uint8]) -> tuple[int, int, int]:
    """The listener goes on: how many of these numbers are in time, repaired by RTX, repaired by FEC; the others are
    missed. An original that came in time makes its repair void, in `states` too. shape (n,)."""
    arrived = (states & ARRIVED) != 0
    in_time = int(np.count_nonzero(arrived))
    if not (states & REPAIRED).any():
        return in_time, 0, 0
    states[arrived] &= ~np.uint8(REPAIRED)
    return in_time, int(np.count_nonzero(states & RTX)), int(np.count_nonzero(states & FEC))


def tally(states: NDArray[np.uint8]) -> list[int]:
    """How many numbers of each of the Fates, in its order. shape (n,) of decided numbers' states."""
    counts: list[int] = (np.bincount(states, minlength=_STATES) @ _TABLE).tolist()
    return counts
