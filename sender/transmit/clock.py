"""Which RTP timestamp belongs to a moment: the pair that a sender report states (RFC 3550 §6.4.1)."""

from __future__ import annotations

_SECOND = 1_000_000_000
_STEP = 100_000_000  # ns; a larger disagreement is a new beginning, not jitter of capture
_SMOOTHING = 16


class MediaClock:
    """The moment at which a source's timestamp was 0, averaged over the jitter of its capture times."""

    def __init__(self, clock_rate: int) -> None:
        """`clock_rate`: ticks per second."""
        self._clock_rate = clock_rate
        self._origin: int | None = None

    def observe(self, timestamp: int, capture_time: int) -> None:
        """Learn from a unit: its unwrapped timestamp (ticks) and when it was captured (monotonic ns)."""
        origin = capture_time - timestamp * _SECOND // self._clock_rate
        if self._origin is None or abs(origin - self._origin) > _STEP:
            self._origin = origin
        else:
            self._origin += (origin - self._origin) // _SMOOTHING

    def timestamp_at(self, now: int) -> int:
        """The source's timestamp (ticks, unwrapped) at a moment (monotonic ns); 0 before the first unit."""
        if self._origin is None:
            return 0
        return (now - self._origin) * self._clock_rate // _SECOND
