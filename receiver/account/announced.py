"""The sender's own word on one numbering: which numbers it assigned, and how many packets it handed to its network."""

from __future__ import annotations


class Announced:
    """The newest range; in our numbers, whose cycles may be counted from another start than the sender's."""

    def __init__(self) -> None:
        self.known = self.final = False
        self.flagged = False
        """it claims to have handed over more packets than it has numbers."""
        self._last = 0
        self._shift = 0
        self._unsent = self._unsent_at_join = 0

    def placed(self, first: int, last: int, highest: int) -> tuple[int, int]:
        """A range in our numbers: the first one lies less than half a cycle from the highest number received."""
        if not self.known:
            self._shift = (highest - last + (1 << 15)) >> 16 << 16
        return first + self._shift, last + self._shift

    def renew(self, first: int, last: int, count: int, *, final: bool, heard_from_start: bool) -> bool:
        """Takes the place of the range before, unless that says more."""
        if self.final or last < self._last:
            return False
        unsent = last - first + 1 - count
        self.flagged |= unsent < 0
        if not self.known:
            self._unsent_at_join = 0 if heard_from_start else max(0, unsent)
        self.known, self.final = True, final
        self._unsent, self._last = unsent, last
        return True

    @property
    def not_sent(self) -> int:
        """Numbers that were assigned while we listened and not handed to the network."""
        return 0 if self.flagged else max(0, self._unsent - self._unsent_at_join)
