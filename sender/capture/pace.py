"""When things are due, and waiting until they are."""

from __future__ import annotations

import threading
import time

SECOND = 1_000_000_000
LATE = 500_000_000
"""ns behind its moment at which a frame of a paced source is skipped, as a camera would have."""


class Clock:
    """Media time → monotonic time, for all streams of a source. It starts with the first frame anyone asks about.

    A live source is not waited for: what comes is due now, and the frame that took least time to come sets the clock.
    """

    def __init__(self, *, live: bool = False) -> None:
        self.live = live
        self._origin: int | None = None
        self._lock = threading.Lock()

    def due(self, media_time: int) -> int:
        """Monotonic ns at which the frame of `media_time` (ns since the source began) is to be had."""
        origin = time.monotonic_ns() - media_time
        with self._lock:
            if self._origin is None or (self.live and origin < self._origin):
                self._origin = origin
            return self._origin + media_time


class Pace:
    """One stream that waits by a clock; it is closed alone."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or Clock()
        self._closed = threading.Event()

    def due(self, media_time: int) -> int:
        """As the clock says."""
        return self._clock.due(media_time)

    def wait(self, moment: int) -> bool:
        """Sleeps until `moment`; False when closed."""
        delay = moment - time.monotonic_ns()
        if delay <= 0:
            return not self._closed.is_set()
        return not self._closed.wait(delay / SECOND)

    def missed(self, moment: int) -> bool:
        """It is no use any more."""
        return not self._clock.live and time.monotonic_ns() - moment > LATE

    def close(self) -> None:
        """Wakes whoever waits. Safe from any thread."""
        self._closed.set()
