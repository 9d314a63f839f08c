"""Time that only moves when a test moves it."""

from __future__ import annotations

MILLISECOND = 1_000_000
SECOND = 1_000_000_000


class VirtualClock:
    """A monotonic clock, and the wall clock beside it, in integer ns. Starts away from zero on purpose."""

    def __init__(self, now: int = 1_000 * SECOND, wall: int = 1_750_000_000 * SECOND) -> None:
        self.now = now
        self._wall_offset = wall - now

    @property
    def wall(self) -> int:
        """Unix time in ns."""
        return self.now + self._wall_offset

    def advance(self, duration: int) -> int:
        """Moves on by `duration` ns and returns the new `now`."""
        return self.advance_to(self.now + duration)

    def advance_to(self, moment: int) -> int:
        """Moves on to `moment`; never back."""
        self.now = max(self.now, moment)
        return self.now
