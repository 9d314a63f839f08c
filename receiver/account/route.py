"""Whether the way has become longer: then every packet takes longer by the same time, and none is lost for that.

A queue that stands as steadily is full, and loses packets.
"""

from __future__ import annotations

from collections import deque

_PART = 250_000_000
"""ns of which the quickest packet counts."""
_PARTS = 4
_LONGER = 100_000_000
"""ns above the least transit from which on it may be another route."""
_STEADY = 30_000_000
"""ns by which the parts' quickest packets differ at most."""


class Route:
    """Of one stream; times are monotonic ns."""

    def __init__(self) -> None:
        self._parts: deque[int] = deque(maxlen=_PARTS)
        self._began: int | None = None
        self._least = 0
        self._missing = 0

    def observe(self, excess: int, missing: int, now: int) -> int:
        """The packets that came now took so long more than the least transit, the quickest of them, ns; so many are
        missing in all. Returns by how much the least transit has grown, 0 while it has not."""
        if missing > self._missing or excess < _LONGER:
            self._parts.clear()
            self._began = None
        self._missing = missing
        if excess < _LONGER:
            return 0
        if self._began is None:
            self._began, self._least = now, excess
        self._least = min(self._least, excess)
        if now - self._began < _PART:
            return 0
        self._parts.append(self._least)
        self._began = None
        if len(self._parts) < _PARTS or max(self._parts) - min(self._parts) > _STEADY:
            return 0
        step = min(self._parts)
        self._parts.clear()
        return step
