"""The end of a session: the final range, repeated until every stream's is acknowledged, reports, then goodbye."""

from __future__ import annotations

from collections.abc import Collection, Iterable

REPEAT = 100_000_000
PATIENCE = 2_000_000_000
"""ns for which acknowledgements are waited for."""
LONGEST = 4_000_000_000
"""ns for which reports are that a receiver has announced: it lets what is on its way arrive and be played first."""

SOON = 300_000_000
"""ns in which whoever has everything announces a report, or will not."""


class Farewell:
    """When to repeat the final range and when to stop. Times in monotonic ns."""

    def __init__(self, ssrcs: Iterable[int], now: int) -> None:
        self._acknowledged: dict[int, set[int]] = {ssrc: set() for ssrc in ssrcs}
        """stream → who has its final range."""
        self._reporters: set[int] = set()
        """who will send a report and has not yet."""
        self._next = now
        self._deadline = now + PATIENCE
        self._latest = now + LONGEST

    @property
    def waiting(self) -> bool:
        """A stream's final range has not been acknowledged by anybody, or an announced report not come."""
        return bool(self._reporters) or not all(self._acknowledged.values())

    def unheard(self, peers: Collection[int]) -> set[int]:
        """Streams whose final range not every one of these receivers has acknowledged."""
        return {ssrc for ssrc, by in self._acknowledged.items() if not by or not by.issuperset(peers)}

    def acknowledge(self, ssrc: int, receiver: int, now: int, *, report_follows: bool = False) -> None:
        """A receiver has this stream's final range."""
        if ssrc not in self._acknowledged:
            return
        if report_follows and not any(receiver in by for by in self._acknowledged.values()):
            self._reporters.add(receiver)
            self._deadline = max(self._deadline, self._latest)
        self._acknowledged[ssrc].add(receiver)
        self._next = min(self._next, now) if not self.waiting else self._next

    def told(self, now: int) -> None:
        """The final ranges have been acknowledged another way: only reports are still worth a wait, if any are
        announced soon."""
        if not self._reporters:
            self._deadline = min(self._deadline, now + SOON)

    def reported(self, receiver: int) -> None:
        """Its report is here, or will not come."""
        self._reporters.discard(receiver)

    def hurry(self, now: int) -> None:
        """Nobody is there to wait for: end at the next occasion."""
        self._deadline = self._latest = self._next = min(now, self._deadline)

    def over(self, now: int, *, busy: bool) -> bool:
        """True when the goodbye is due; `busy`: our own report is on its way."""
        return now >= self._deadline or not (self.waiting or busy)

    def due(self, now: int) -> bool:
        """True when the final range is to be sent (again); the next one is then later."""
        if now < self._next:
            return False
        self._next = now + REPEAT
        return True

    def next_time(self) -> int:
        """When something is due."""
        return min(self._next, self._deadline)
