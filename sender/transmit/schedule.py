"""When the regular reports of a session leave (RFC 3550 §6.3)."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from protocol.rtcp.timer import SECOND, RtcpTimer, reduced_minimum, rtcp_bandwidth

_LONGEST_MINIMUM = SECOND
"""Lip-sync, round trips and the ledger's range hang on the reports. As in RFC 4585 §3.4 (Tmin = 0) the minimum may be
below 5 s, also for slow streams; RTCP's 5 % of the bandwidth hold all the same."""
_UDP_AND_IP = 28


class ReportSchedule:
    """One schedule for all streams of a session: they report together."""

    def __init__(self, bandwidth: int, streams: int, random: Random) -> None:
        """`bandwidth` of the session, bits per second."""
        minimum = min(_LONGEST_MINIMUM, reduced_minimum(bandwidth))
        self._streams = streams
        self._timer = RtcpTimer(rtcp_bandwidth(bandwidth), minimum, members=streams + 1, senders=streams, we_sent=True)
        self._random = random
        self._last = 0
        self._next: int | None = None
        self._may_hurry = 0
        self._hurried = False

    def start(self, now: int) -> None:
        """The first report has just left; no effect on a schedule that runs."""
        if self._next is None:
            self._last = now
            self._next = now + self._timer.interval(self._random.random(), initial=True)

    def hurry(self, now: int) -> None:
        """A receiver waits for its first answer: the next report is due now. Once a second at most, and what follows is
        later for it, so RTCP keeps to its share."""
        if self._next is not None and now >= self._may_hurry:
            self._may_hurry = now + SECOND
            self._next, self._hurried = now, True

    def due(self, now: int) -> bool:
        """True when reports are to leave now. The interval is drawn again before (§6.3.6), which may postpone them."""
        if self._next is None or now < self._next:
            return False
        self._next = self._last + self._timer.interval(self._random.random())
        if self._next > now and not self._hurried:
            return False
        self._last, self._hurried = now, False
        self._next = now + self._timer.interval(self._random.random())
        return True

    def next_time(self) -> int | None:
        """When `due` is worth asking, monotonic ns; None before the start."""
        return self._next

    def count(self, size: int) -> None:
        """A compound packet of `size` bytes was sent or received."""
        self._timer = self._timer.with_packet(size + _UDP_AND_IP)

    def members(self, peers: int) -> None:
        """How many receivers there are."""
        self._timer = replace(self._timer, members=self._streams + max(1, peers))
