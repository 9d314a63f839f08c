"""When to ask for a missing packet, and when again: what the path's reordering and round trip were lately. ns."""

from __future__ import annotations

from collections import deque

MILLISECOND = 1_000_000
_WINDOW = 1024
"""packets whose order counts."""
_NEEDLESS = 0.03
"""share of all packets that may be asked for though they are only late."""
_LEAST = MILLISECOND
"""that a missing packet is waited for at least, so that what is lost together is asked for together."""
_KEPT = 16
"""answers whose time counts."""
_SHORTEST = 20 * MILLISECOND
"""between two rounds: below it, senders take a request for a copy of the one before."""
_UNKNOWN = 100 * MILLISECOND
"""a round trip that nobody measured yet."""


class Tolerance:
    """How long a packet that others overtook is waited for before it is asked for: so long that few are asked for in
    vain. Its measure is RFC 4737's late time, of all packets, where those in order count as 0."""

    def __init__(self) -> None:
        self._packets = 0
        self._late: deque[tuple[int, int]] = deque()
        self._wait: int | None = None

    def in_order(self, packets: int) -> None:
        """So many came in order."""
        self._packets += packets

    def overtaken(self, late_time: int) -> None:
        """One came so long after the first that had overtaken it."""
        self._packets += 1
        self._late.append((self._packets, late_time))
        self._wait = None

    @property
    def wait(self) -> int:
        """From the moment at which a packet is overtaken."""
        while self._late and self._late[0][0] <= self._packets - _WINDOW:
            self._late.popleft()
            self._wait = None
        if self._wait is None:
            needless = int(min(self._packets, _WINDOW) * _NEEDLESS)
            late = sorted((late for _, late in self._late), reverse=True)
            self._wait = _LEAST + (late[needless] if needless < len(late) else 0)
        return self._wait


class RoundTrip:
    """From a request to its answer. Exchanges of RTCP measure it; where there are none, the answers themselves, as what
    it is at most: which copy of a request an answer is for, nobody can know, so the first one counts."""

    def __init__(self) -> None:
        self._smoothed = self._variation = 0.0
        self._exchanged = False
        self._answers: deque[int] = deque(maxlen=_KEPT)

    def exchanged(self, sample: int) -> None:
        """RTCP measured it (RFC 6298 §2's estimate)."""
        if not self._exchanged:
            self._exchanged = True
            self._smoothed, self._variation = float(sample), sample / 8
            return
        self._variation += (abs(sample - self._smoothed) - self._variation) / 4
        self._smoothed += (sample - self._smoothed) / 8

    def answered(self, sample: int) -> None:
        """From the first copy of the only request for a packet to its retransmission."""
        self._answers.append(sample)

    @property
    def measured(self) -> int | None:
        """By RTCP; None: nobody did."""
        return int(self._smoothed) if self._exchanged else None

    @property
    def value(self) -> int:
        """What an answer takes."""
        if self._exchanged:
            return int(self._smoothed)
        return min(self._answers, default=_UNKNOWN)

    @property
    def timeout(self) -> int:
        """After which an answer is overdue."""
        if self._exchanged:
            slack = max(4 * MILLISECOND, int(3 * self._variation))
        elif self._answers:
            slack = max(8 * MILLISECOND, sorted(self._answers)[len(self._answers) // 2] - min(self._answers))
        else:
            slack = 0
        return max(_SHORTEST, self.value + slack)
