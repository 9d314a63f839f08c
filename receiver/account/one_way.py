"""How long the way from the sender takes, though the two clocks have never been set by each other.

An exchange leaves here at t1, reaches the sender at t2, leaves it at t3 and is back at t4; t1 and t4 are the local
monotonic clock's, t2 and t3 the sender's wall clock's. Neither way takes less than no time, so the sender's clock is
ahead by at most t2 - t1 and by at least t3 - t4: the middle of these is wrong by at most half the round trip, however
unequal the two ways are. The exchange of the least round trip is believed. What packets took is set against the two
clocks at the moment of each exchange, so that the clocks' skew has no time to matter.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

_KEPT = 64
"""exchanges: the way may change, so old ones are forgotten."""
_SLACK = 20_000
"""ns by which a round trip may come out negative: LRR, DLRR, LSR and DLSR count in 1/65536 s."""


@dataclass(frozen=True, slots=True)
class OneWay:
    """The least transit, ns."""

    delay: int
    error: int
    """the true one lies within this of it."""


@dataclass(frozen=True, slots=True)
class _Exchange:
    round_trip: int
    offset: int
    transit: int | None


class TwoWay:
    """Exchanges with one sender."""

    def __init__(self) -> None:
        self._exchanges: deque[_Exchange] = deque(maxlen=_KEPT)

    def exchange(self, t1: int, t2: int, t3: int, t4: int, transit: int | None = None) -> bool:
        """All in ns; `transit`: by how much the local clock, when a packet of least transit arrives, is ahead of the
        sender's wall clock at its capture, now; None while that is not known.

        Returns False for what cannot be: an exchange that began after it ended.
        """
        round_trip = (t4 - t1) - (t3 - t2)
        if t4 < t1 or t3 < t2 or round_trip < -_SLACK:
            return False
        self._exchanges.append(_Exchange(max(0, round_trip), ((t2 - t1) + (t3 - t4)) // 2, transit))
        return True

    @property
    def round_trip(self) -> int | None:
        """ns, of the newest exchange; None before the first."""
        return self._exchanges[-1].round_trip if self._exchanges else None

    @property
    def offset(self) -> int | None:
        """The sender's wall clock minus the local monotonic one, ns; None before the first exchange."""
        return min(self._exchanges, key=lambda e: e.round_trip).offset if self._exchanges else None

    @property
    def one_way(self) -> OneWay | None:
        """None before an exchange came while the least transit was known."""
        known = [(e.round_trip, e.transit + e.offset) for e in self._exchanges if e.transit is not None]
        if not known:
            return None
        round_trip, delay = min(known)
        return OneWay(delay, (round_trip + 1) // 2)
