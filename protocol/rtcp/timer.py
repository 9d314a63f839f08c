"""When RTCP may be sent: RFC 3550 §6.2 and §6.3, and immediate feedback within the same share (RFC 4585 §3).

Functions of numbers and small frozen values: randomness and time are arguments.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

SECOND = 1_000_000_000
MINIMUM = 5 * SECOND
"""ns between reports of one participant, unless the reduced minimum is used (§6.2)."""
RTCP_FRACTION = 0.05
"""RTCP's share of the session's bandwidth."""
SENDER_FRACTION = 0.25
"""The part of that share kept for senders, while they are no more than that part of the members."""
_COMPENSATION = math.e - 1.5  # timer reconsideration converges below the intended bandwidth (§6.3.1)


def rtcp_bandwidth(session_bandwidth: float) -> float:
    """RTCP's octets per second in a session of so many bits per second."""
    return session_bandwidth / 8 * RTCP_FRACTION


def reduced_minimum(session_bandwidth: float) -> int:
    """ns: 360 divided by the bandwidth in kbit/s, as seconds (§6.2); never above the fixed minimum."""
    if session_bandwidth <= 0:
        return MINIMUM
    return min(MINIMUM, round(360_000 / session_bandwidth * SECOND))


@dataclass(frozen=True, slots=True)
class RtcpTimer:
    """What the time between reports depends on. The caller keeps the times of its last and next report.

    When the next is due, compute the interval again: is last + interval still ahead, wait for that (§6.3.6).
    """

    bandwidth: float
    """octets per second for all RTCP of the session."""
    minimum: int = MINIMUM
    """ns."""
    members: int = 2
    """ourselves included."""
    senders: int = 1
    we_sent: bool = False
    """we have sent RTP since the report before the last."""
    average_size: float = 128.0
    """octets of a compound packet, UDP and IP headers included."""

    def interval(self, random: float, *, initial: bool = False) -> int:
        """ns from the last report to the next (§6.3.1); `random` is in [0, 1). The first waits half the minimum."""
        share, participants = self.bandwidth, self.members
        if self.senders <= self.members * SENDER_FRACTION:
            share *= SENDER_FRACTION if self.we_sent else 1 - SENDER_FRACTION
            participants = self.senders if self.we_sent else self.members - self.senders
        minimum = self.minimum / 2 if initial else self.minimum
        deterministic = max(minimum, participants * self.average_size / share * SECOND)
        return round(deterministic * (random + 0.5) / _COMPENSATION)

    def with_packet(self, size: int) -> RtcpTimer:
        """After a compound packet of `size` octets (with UDP and IP headers) was sent or received (§6.3.3)."""
        return replace(self, average_size=self.average_size + (size - self.average_size) / 16)


@dataclass(frozen=True, slots=True)
class FeedbackAllowance:
    """Immediate feedback (RFC 4585 §3.3) as a bucket that RTCP's bandwidth fills and every RTCP datagram drains.

    Regular reports are always sent and may overdraw it; feedback waits until it fits.
    """

    rate: float
    """octets per second."""
    burst: float
    """octets saved up at most; also what it begins with."""
    balance: float
    updated: int
    """monotonic ns."""

    @classmethod
    def full(cls, rate: float, now: int, burst: float | None = None) -> FeedbackAllowance:
        """A full bucket; it holds a second's share unless told otherwise, and never less than one MTU's."""
        size = max(1500.0, rate if burst is None else burst)
        return cls(rate, size, size, now)

    def _at(self, now: int) -> float:
        """The balance, filled up to `now`."""
        return min(self.burst, self.balance + max(0, now - self.updated) * self.rate / SECOND)

    def allows(self, size: int, now: int) -> bool:
        """Whether feedback of `size` octets (with UDP and IP headers) may go now."""
        return self._at(now) >= min(size, self.burst)

    def spend(self, size: int, now: int) -> FeedbackAllowance:
        """After `size` octets of RTCP were sent."""
        return replace(self, balance=max(self._at(now) - size, -self.burst), updated=max(now, self.updated))

    def next_time(self, size: int, now: int) -> int:
        """The monotonic ns from which feedback of `size` octets may go: `now` when it may already."""
        missing = min(size, self.burst) - self._at(now)
        if missing <= 0:
            return now
        return now + math.ceil(missing / self.rate * SECOND) + 1
