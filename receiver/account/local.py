"""Datagrams that this machine's kernel dropped because a receive queue was full, and whose they were.

The kernel's count comes with each datagram, as it was when that one was queued, so a step of it lies between two
datagrams. Of the streams that share the queue, those whose next number leaves a gap there lost some of these datagrams.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable

import numpy as np
from numpy.typing import NDArray

from receiver.account.ring import StateRing
from receiver.account.states import ARRIVED, LOCAL

_WAITING = 64


class LocalDrop:
    """One step of a queue's count, shared by the ledgers of the streams it may have hit."""

    __slots__ = ("_streams", "exact", "left")

    def __init__(self, count: int, *, exact: bool) -> None:
        self.left = count
        """datagrams no stream misses yet."""
        self.exact = exact
        """False: what was dropped may have been aggregates (UDP_GRO), each of at least one datagram; or the streams
        miss more than was dropped, so the network took the rest from one or another of them."""
        self._streams = 0

    def explain(self, missing: int) -> int:
        """A stream misses this many packets there; returns how many of them were dropped here, as far as is known."""
        found = min(self.left, missing)
        self.left -= found
        self._streams += missing > 0
        self.exact &= found == missing or self._streams == 1
        return found


class LocalDrops:
    """Those that may have hit one stream, and which of its numbers they are taken to be: marked LOCAL in its ring."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[int, LocalDrop]] = deque(maxlen=_WAITING)
        """the lowest number that may have been dropped, ascending."""
        self.count = 0
        """numbers marked."""
        self._exact = True
        self._explained: deque[LocalDrop] = deque()

    @property
    def exact(self) -> bool:
        """False: what `LocalDrop.exact` says is so of one of them."""
        return self._exact and all(drop.exact for drop in self._explained)

    def explain(self, ring: StateRing, below: int, closed: int, end: int) -> None:
        """Look at those after which a number below this one came, or none will; open are `closed` to below `end`."""
        while self.waiting and self.waiting[0][0] < below:
            number, drop = self.waiting.popleft()
            self._mark(ring, max(number, closed), end, drop)

    def take_back(self, ring: StateRing, at: NDArray[np.int64]) -> None:
        """The numbers in these places of the ring have come: they were only overtaken."""
        marked = at[(ring.states[at] & LOCAL) != 0]
        ring.states[marked] ^= LOCAL
        self.count -= len(marked)

    def _mark(self, ring: StateRing, number: int, end: int, drop: LocalDrop) -> None:
        """Of the numbers missing from this one on, up to the next that arrived."""
        missing: list[NDArray[np.int64]] = []
        for start, stop in ring.pieces(number, end):
            arrived = (ring.states[start:stop] & ARRIVED) != 0
            run = int(arrived.argmax()) if arrived.any() else stop - start
            missing.append(start + np.flatnonzero((ring.states[start : start + run] & LOCAL) == 0))
            if run < stop - start:
                break
        at = np.concatenate([np.zeros(0, np.int64), *missing])
        if not len(at):
            return
        at = at[: drop.explain(len(at))]
        ring.states[at] |= LOCAL
        self.count += len(at)
        self._explained.append(drop)
        if len(self._explained) > _WAITING:
            self._exact &= self._explained.popleft().exact


def queue(path: Hashable) -> Hashable:
    """Paths with equal answers share a receive queue."""
    return getattr(path, "port", None)
