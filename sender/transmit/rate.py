"""How fast a stream may be: the limits of its receivers (TMMBR, RFC 5104), and the circuit breaker below them."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass

from protocol.rtcp.report_block import ReportBlock
from protocol.rtcp.tmmbr import Limit
from sender.transmit.circuit_breaker import CircuitBreaker, Sent

SECOND = 1_000_000_000
EXPIRY = 5 * SECOND
"""ns for which a limit holds that is not repeated. Receivers repeat it with each report."""
FLOOR = 100_000
"""bit/s that no limit goes below, unless a tenth of what the user asked for is less."""
_MAX_LIMITS = 1024
_MARK = SECOND // 4
_MARKS = 8


@dataclass(frozen=True, slots=True)
class Progress:
    """What has left so far of a stream."""

    media: Sent
    payload: int
    """octets of RTP payload in it."""
    repair: int
    """octets of repair of every kind, IP headers included."""


class StreamRate:
    """Of one stream to one destination; sans-IO. Times are monotonic ns."""

    def __init__(self, frame_interval: int) -> None:
        self._breaker = CircuitBreaker(frame_interval)
        self._limits: dict[int, tuple[Limit, int]] = {}
        """of each receiver, the oldest first, and when it was said."""
        self._marks: deque[tuple[int, Progress]] = deque(maxlen=_MARKS)
        self._told: int | None = None

    def request(self, receiver: int, limit: Limit, now: int) -> None:
        """A receiver says what gets through to it."""
        self._limits.pop(receiver, None)
        if len(self._limits) >= _MAX_LIMITS:
            del self._limits[next(iter(self._limits))]
        self._limits[receiver] = limit, now

    def report(self, reporter: int, block: ReportBlock, progress: Progress, round_trip: int | None, now: int) -> None:
        """A report block came."""
        self._breaker.report(reporter, block, progress.media, round_trip, now)

    def forget(self, receiver: int) -> None:
        """It has left."""
        self._limits.pop(receiver, None)
        self._breaker.forget(receiver)

    def lowest(self, now: int) -> Limit | None:
        """The limit that holds, with the SSRC of the receiver whose it is, as a notification has it."""
        for receiver in [r for r, (_, said) in self._limits.items() if now - said >= EXPIRY]:
            del self._limits[receiver]
        low = min(self._limits, key=lambda receiver: self._limits[receiver][0].bitrate, default=None)
        if low is None:
            return None
        limit = self._limits[low][0]
        return Limit(low, limit.bitrate, limit.overhead)

    def follow(self, progress: Progress, now: int) -> tuple[int | None, str] | None:
        """What the encoder may give from now on in bit/s (None: what it likes) and why, where that has changed."""
        self._breaker.check(progress.media, now)
        share = self._share(progress, now)
        asked, breaker = self.lowest(now), self._breaker.limit
        totals = [] if asked is None else [asked.bitrate]
        total = min(totals if breaker is None else [*totals, breaker], default=None)
        bitrate = None if total is None else int(total * share)
        if bitrate == self._told:
            return None
        self._told = bitrate
        return bitrate, self._breaker.why if total == breaker else "congestion"

    @property
    def bitrate(self) -> int | None:
        """What the encoder may give, bit/s; None: what it likes."""
        return self._told

    def _share(self, progress: Progress, now: int) -> float:
        """Of the octets that left lately, how many the encoder had made: the rest is headers and repair."""
        if not self._marks or now - self._marks[-1][0] >= _MARK:
            self._marks.append((now, progress))
        before = self._marks[0][1]
        total = progress.media.octets + progress.repair - before.media.octets - before.repair
        return (progress.payload - before.payload) / total if total > 0 else 1.0


class VideoRate:
    """Of one encoder, whose pictures go to several destinations: the slowest decides."""

    def __init__(self, ceiling: int) -> None:
        """`ceiling`: bit/s that the user asked for."""
        self._ceiling = self._present = ceiling
        self._limits: dict[Hashable, int] = {}

    def limit(self, by: Hashable, bitrate: int | None) -> None:
        """What one destination takes, bit/s; None: everything."""
        self._limits.pop(by, None)
        if bitrate is not None:
            self._limits[by] = bitrate

    def take(self) -> int | None:
        """The encoder's bit-rate where it has changed."""
        lowest = min(self._limits.values(), default=self._ceiling)
        wanted = min(self._ceiling, max(lowest, min(FLOOR, self._ceiling // 10)))
        if wanted == self._present:
            return None
        self._present = wanted
        return wanted
