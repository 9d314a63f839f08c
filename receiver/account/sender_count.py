"""What the packet counts in a foreign sender's reports (SR, RFC 3550 §6.4.1) say of numbers that never came.

Such a count has no first number. By how much it exceeds the span of the numbers seen is the lost head, plus what was
lost just before that report: the least excess of all reports is the head, and what the last one has above it the tail.
Both hold only if the stream was heard from its start. A count that exceeds the numbers assigned by then, which later
packets tell, includes resends on the same SSRC, or lies: it is flagged and not used.
"""

from __future__ import annotations

from protocol.serial import difference

_SETTLED = 1_000_000_000
"""ns after which packets that a report has overtaken have come."""
_ONE_BURST = 100
"""packets that may have been sent at once, whatever the rate."""


class SenderCount:
    """Of one numbering; counts are 32 bits and may wrap."""

    def __init__(self) -> None:
        self.flagged = False
        self._count: int | None = None
        self._from_start = False
        self._head = 0
        self._reported = self._span = 0
        self._silence = 0
        """ns between the last packet and the last report."""

    def report(self, count: int, arrival: int, span: int, first_arrival: int, last_arrival: int, since: int) -> None:
        """A report that came at `arrival`, when the numbers spanned `span` and their packets had come from
        `first_arrival` to `last_arrival`; we listen `since` then. Monotonic ns."""
        if self._count is None:
            sending = (last_arrival - first_arrival) * count // max(1, span - 1)
            self._from_start = count <= span or (span > 1 and last_arrival - sending >= since)
            self._count, self._head = count, max(0, count - span)
        else:
            self._count += difference(count, self._count & 0xFFFF_FFFF, 32)
            self._head = max(0, min(self._head, self._count - span))
        self._from_start &= self._count >= span - _ONE_BURST  # or it counts something else
        self._silence = max(0, arrival - last_arrival)
        self._reported, self._span = arrival, span

    def look(self, span: int, now: int) -> None:
        """At any time: the numbers span this much now."""
        if self._count is None or span == self._span or now - self._reported < _SETTLED:
            return
        self.flagged |= self._from_start and self._count - self._head > span

    @property
    def complete_so_far(self) -> bool:
        """Whether nothing is known to have been lost before the first number seen, or can have been."""
        return self._from_start and not self._head and not self.flagged

    def head_and_tail(self, span: int, first_arrival: int, last_arrival: int) -> tuple[int, int] | None:
        """Packets lost before the first and after the last number seen, at the end; None: unknown."""
        if self._count is None or not self._from_start or self.flagged:
            return None
        tail = self._count - self._head - span
        usual = self._silence * span // max(1, last_arrival - first_arrival)
        if tail > _ONE_BURST + 2 * usual or self._head > _ONE_BURST + span:
            self.flagged = True
        if self.flagged or tail < 0:
            return None
        return self._head, tail
