"""The circuit breaker of RFC 8083: what ends a stream's excess when no receiver asks for less.

It looks at report blocks alone. On each of the RFC's three conditions the stream falls to a tenth of its rate, as §4.3
allows for congestion, and is never ceased: no one is there who could start it again, and a tenth finds out when the
path is back. A receiver that has never reported is not missed: plain players do not.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from protocol.rtcp.report_block import ReportBlock

SECOND = 1_000_000_000
WINDOW = 15 * SECOND
"""CB_INTERVAL (§4.3) in time: max(15 s, 3·Td), for ten groups of our pictures last longer, and Td is below 5 s."""
RTCP_TIMEOUT = 15 * SECOND
"""§4.1: three times Td, the interval of RFC 3550 with its minimum of 5 s."""
STALLED_REPORTS = 5
"""k of §4.2."""
STALLED_TIME = 3 * SECOND
"""for so long at least: our receivers report every 0.4 s, and a path that is gone for 2 s is no full path."""
EXCESS = 10
"""times what TCP would send (§4.3)."""
CUT = 10
_MAX_RECEIVERS = 16
_MAX_REPORTS = 128


@dataclass(frozen=True, slots=True)
class Sent:
    """Of a stream so far, as it leaves this machine."""

    packets: float
    """Those cut small for forward correction count as the part of a whole one that they are: TCP's would not have been
    cut (so does TFRC-SP reckon, RFC 4828 §1)."""
    octets: int
    """IP, UDP and RTP headers included."""


@dataclass(frozen=True, slots=True)
class _Report:
    time: int
    lost: int
    """packets, of all."""
    highest: int
    """sequence number, with cycles."""
    sent: Sent


@dataclass(slots=True)
class _Receiver:
    reports: deque[_Report] = field(default_factory=lambda: deque(maxlen=_MAX_REPORTS))
    stalled: int = 0
    """reports in a row by which nothing of what was sent arrived."""
    arrived: int = 0
    """when a report last told of something new."""

    def hear(self, report: _Report) -> None:
        if self.reports and report.sent.packets > self.reports[-1].sent.packets:
            self.stalled = self.stalled + 1 if report.highest == self.reports[-1].highest else 0
        self.arrived = self.arrived if self.stalled else report.time
        self.reports.append(report)
        while len(self.reports) > 2 and self.reports[-1].time - self.reports[1].time >= WINDOW:
            self.reports.popleft()

    @property
    def span(self) -> int:
        """ns."""
        return self.reports[-1].time - self.reports[0].time

    def media_timeout(self, frame_interval: int, round_trip: int) -> bool:
        """§4.2."""
        if not self.stalled or self.reports[-1].time - self.arrived < STALLED_TIME:
            return False
        interval = max(1.0, self.span / (len(self.reports) - 1))
        return self.stalled >= math.ceil(STALLED_REPORTS * max(frame_interval, round_trip, interval) / interval)

    def excess(self, round_trip: int) -> float:
        """How many times TCP's rate was sent over a whole window; 0 while that is not known. Loss is by the cumulative
        counts say: the fractions of single reports count packets that overtake each other, and never less than none."""
        first, last = self.reports[0], self.reports[-1]
        octets, packets = last.sent.octets - first.sent.octets, last.sent.packets - first.sent.packets
        if self.span < WINDOW or not packets or not round_trip:
            return 0.0
        expected = (last.highest - first.highest) & 0xFFFF_FFFF
        lost = (last.lost - first.lost) / expected if expected else 0.0
        return octets * 8e9 / self.span / tcp_rate(octets / packets, round_trip, lost) if lost > 0 else 0.0


def tcp_rate(size: float, round_trip: int, lost: float) -> float:
    """bit/s of a TCP connection by the simplified equation (§4.3): packets of `size` octets, `round_trip` in ns, a
    share `lost` of them above 0."""
    return 8e9 * size / (round_trip * math.sqrt(2 * lost / 3))


class CircuitBreaker:
    """Of one stream. Times are monotonic ns."""

    def __init__(self, frame_interval: int) -> None:
        self.limit: int | None = None
        """bit/s, headers included; None: it is closed, as it should be."""
        self.why = ""
        self._frame_interval = frame_interval
        self._receivers: dict[int, _Receiver] = {}
        self._since = 0
        self._before = 0
        """bit/s that were sent when it tripped first."""

    def report(self, reporter: int, block: ReportBlock, sent: Sent, round_trip: int | None, now: int) -> None:
        """A receiver's report block came, when so much had been sent."""
        if reporter not in self._receivers and len(self._receivers) >= _MAX_RECEIVERS:
            return
        receiver = self._receivers.setdefault(reporter, _Receiver())
        receiver.hear(_Report(now, block.cumulative_lost, block.extended_highest_sequence, sent))
        if receiver.media_timeout(self._frame_interval, round_trip or 0):
            self._trip("nothing arrives", receiver, now)
        elif self.why in ("nothing arrives", "no reports") and not receiver.stalled:
            self.limit, self.why = None, ""
        elif receiver.excess(round_trip or 0) > EXCESS:
            self._trip("far more than TCP would send", receiver, now)
            receiver.reports.clear()  # what follows is judged by itself

    def forget(self, reporter: int) -> None:
        """It has left."""
        self._receivers.pop(reporter, None)

    def check(self, sent: Sent, now: int) -> None:
        """Time has passed. Where all goes well at a lower rate, it is doubled window by window."""
        newest = max((r.reports[-1] for r in self._receivers.values() if r.reports), key=lambda r: r.time, default=None)
        if newest is not None and now - newest.time >= RTCP_TIMEOUT and sent.packets > newest.sent.packets:
            silent = next(r for r in self._receivers.values() if r.reports and r.reports[-1] is newest)
            self._trip("no reports", silent, now)
        elif self.limit is not None and self.why == "far more than TCP would send" and now - self._since >= WINDOW:
            self._since = now
            self.limit = self.limit * 2 if self.limit * 2 < self._before else None
            self.why = self.why if self.limit is not None else ""

    def _trip(self, why: str, receiver: _Receiver, now: int) -> None:
        """Once for each reason, but for congestion, which can go on below."""
        if self.limit is not None and why != "far more than TCP would send":
            return
        first, last = receiver.reports[0], receiver.reports[-1]
        rate = (last.sent.octets - first.sent.octets) * 8 * SECOND // max(1, last.time - first.time)
        if self.limit is None:
            self._before = rate
        self.limit, self.why, self._since = max(1, rate // CUT), why, now
