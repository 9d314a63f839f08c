"""What one path carries: a limit in bit/s while its queue stands, and none otherwise.

Every tenth of a second the packet of least delay tells how long the queue stood at least: jitter leaves some packets
alone, a queue none. Congestion begins where that least delay has stayed high for a second and still rises, or where
more packets are lost than the path loses without a queue. So loss alone is not congestion, jitter is not, and neither
is another route, after which the delay is high but steady. Then the limit falls below what arrived, by so much that the
queue is gone within a second; it grows again slowly, most slowly near the rate at which the queue began.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

_SECOND = 1_000_000_000
_WINDOWS = 10
"""tenths of a second that are looked back on."""
_HALF = _WINDOWS // 2
_STANDING = 3
"""windows that a queue has stood for, while there is a limit."""
QUEUE = 25_000_000
"""ns above the least transit that are never a queue; twice the windows' usual unrest comes on top."""
ONSET = 50_000_000
"""ns of standing queue without which there is no congestion (NADA's QTH, RFC 8698)."""
RISE = 10_000_000
"""ns by which a rising queue's least delay grows in half a second."""
LOSS = 0.05
"""share of packets that may be lost beside half as much again as without a queue."""
BACK_OFF = 0.85
"""of what arrived (GCC's beta)."""
_DEEPEST = 0.5
GROWTH, NEAR_GROWTH = 0.08, 0.02
"""a second (GCC's 8 %), and near the rate at which the queue began."""
NEAR = 0.9, 1.05
HEADROOM = 1.5
"""of what arrives: the limit grows no further (GCC); where it stays there, it limits nothing."""
UNUSED = 5 * _SECOND
"""ns after which such a limit ends."""
SETTLING = _SECOND
"""ns that a fall is given to show."""
FLOOR = 50_000
"""bit/s."""
_LEARNING = 0.02
"""weight of a window in what is usual."""


@dataclass(frozen=True, slots=True)
class Window:
    """About a tenth of a second of one path."""

    span: int
    """ns."""
    queue: int | None
    """ns above the least transit of the packet that took least; None: none came."""
    octets: int
    """that arrived, IP headers included."""
    expected: int
    """packets, by their numbers."""
    lost: int
    """of those; below 0 where stragglers came."""


class Congestion:
    """Of one path; sans-IO."""

    def __init__(self) -> None:
        self.limit: int | None = None
        """bit/s of everything together; None: no congestion."""
        self._windows: deque[Window] = deque(maxlen=_WINDOWS)
        self._unrest = 0.0
        """ns by which the least delay of a window usually differs from that of the one before."""
        self._usual_loss = 0.0
        self._began_at = 0.0
        """bit/s that arrived when the queue was last seen."""
        self._settled = 0
        self._unused_since: int | None = None

    def observe(self, window: Window, now: int) -> bool:
        """The newest window, which ended at `now` (monotonic ns); True when the limit fell."""
        queue, before = window.queue, self._queue()
        self._windows.append(window)
        if queue is None:
            return False
        if before is not None:
            self._unrest += (abs(queue - before) - self._unrest) * 4 * _LEARNING
        if self.limit is None:
            self._learn(window)
            return self._begins() and self._fall(now)
        if now < self._settled:
            return False
        if self._standing(_STANDING) > self._threshold:
            return not self._falling() and self._fall(now)
        self._grow(window.span, now)
        return False

    @property
    def queue(self) -> int:
        """ns that the queue has stood for lately."""
        return self._standing(_STANDING)

    @property
    def suspected(self) -> bool:
        """There is congestion, or what may turn out to be: nothing is to be added."""
        return self.limit is not None or self._standing(_STANDING) > max(ONSET, self._threshold)

    @property
    def arriving(self) -> float:
        """bit/s in the last second."""
        return self._rate(_WINDOWS)

    # What the windows say

    def _recent(self, count: int) -> list[Window]:
        return list(self._windows)[-count:]

    def _queue(self) -> int | None:
        """Of the newest window in which something came."""
        return next((w.queue for w in reversed(self._windows) if w.queue is not None), None)

    def _standing(self, count: int) -> int:
        """The least delay of the last windows."""
        return min((w.queue for w in self._recent(count) if w.queue is not None), default=0)

    @property
    def _threshold(self) -> float:
        return QUEUE + 2 * self._unrest

    def _rate(self, count: int) -> float:
        windows = self._recent(count)
        span = sum(w.span for w in windows)
        return sum(w.octets for w in windows) * 8e9 / span if span else 0.0

    def _loss(self) -> float:
        expected = sum(w.expected for w in self._windows)
        return sum(w.lost for w in self._windows) / expected if expected > 0 else 0.0

    def _learn(self, window: Window) -> None:
        """What is lost while there is no queue."""
        if window.expected > 0 and window.queue is not None and window.queue < self._threshold:
            self._usual_loss += (max(0, window.lost) / window.expected - self._usual_loss) * _LEARNING

    def _halves(self) -> tuple[int, int]:
        """The least delay of the older and of the newer windows."""
        older = [w.queue for w in list(self._windows)[:_HALF] if w.queue is not None]
        return min(older, default=0), self._standing(_HALF)

    def _begins(self) -> bool:
        if len(self._windows) < _WINDOWS or self._standing(_WINDOWS) <= max(ONSET, self._threshold):
            return False
        older, newer = self._halves()
        return newer - older > RISE or self._loss() > LOSS + 1.5 * self._usual_loss

    def _falling(self) -> bool:
        """It drains by itself."""
        older, newer = self._halves()
        return older - newer > RISE

    # The limit

    def _fall(self, now: int) -> bool:
        arriving = self._rate(_STANDING)
        self._began_at = arriving
        drained = 1 - self._standing(_STANDING) / _SECOND
        wanted = arriving * max(_DEEPEST, min(BACK_OFF, drained))
        self.limit = max(FLOOR, int(wanted if self.limit is None else min(wanted, self.limit)))
        self._settled, self._unused_since = now + SETTLING, None
        return True

    def _grow(self, span: int, now: int) -> None:
        assert self.limit is not None
        if self.limit > HEADROOM * self.arriving:
            self._unused_since = now if self._unused_since is None else self._unused_since
            if now - self._unused_since >= UNUSED:
                self.limit = self._unused_since = None
            return
        self._unused_since = None
        near = NEAR[0] <= self.limit / self._began_at <= NEAR[1]
        self.limit += max(1, int(self.limit * (NEAR_GROWTH if near else GROWTH) * span / _SECOND))
