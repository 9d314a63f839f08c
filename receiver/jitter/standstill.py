"""How late pictures have to be, so that none stands still while the one after it is asked for again. Times are ns."""

from __future__ import annotations

from collections import deque

_STILL = 100_000_000
"""by which a picture may be late until the one before it is seen to stand still: 150 ms of it are a freeze."""
_MOST = 60_000_000
"""of delay that a freeze is worth."""
_KEPT = 60_000_000_000
"""for which a retransmission is remembered."""


class Standstill:
    """The longest retransmission of the last minute, as a sliding maximum."""

    def __init__(self) -> None:
        self._longest: deque[tuple[int, int]] = deque()
        """(lateness, moment), each later one shorter."""

    def retransmitted(self, lateness: int, now: int) -> None:
        """A picture's packet came again, so late after its least transit."""
        while self._longest and self._longest[-1][0] <= lateness:
            self._longest.pop()
        self._longest.append((lateness, now))

    def delay(self, now: int) -> int:
        """With which nothing of that would have been seen. `now` never goes back."""
        while self._longest and now - self._longest[0][1] > _KEPT:
            self._longest.popleft()
        return min(_MOST, max(0, self._longest[0][0] - _STILL)) if self._longest else 0
