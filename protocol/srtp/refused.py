"""What was not let in, and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

UNAUTHENTICATED, REPLAYED, TRUNCATED, OTHER_KEY, TOO_MANY, MALFORMED, NO_KEY = (
    "srtp_unauthenticated",
    "srtp_replayed",
    "srtp_truncated",
    "srtp_other_key",
    "srtp_streams",
    "srtp_malformed",
    "srtp_no_key",
)
"""Reasons. A replay shows by its number, before it is authenticated: who claims to repeat, may be anybody."""


class Refusal(NamedTuple):
    """One datagram."""

    reason: str
    ssrc: int | None = None
    """of a known stream that it claims to be of."""
    number: int = 0


@dataclass(slots=True)
class Refused:
    """Datagrams, each in one of these."""

    reasons: Counter[str] = field(default_factory=Counter)
    """of no stream that is known."""
    corrupted: Counter[int] = field(default_factory=Counter)
    """not authentic, by the SSRC of a known stream that they claim to be of."""
    replayed: list[tuple[int, int]] = field(default_factory=list)
    """(SSRC of a known stream, sequence number) of packets that had come before, or are too old to tell."""

    def add(self, refusal: Refusal) -> None:
        """One more."""
        reason, ssrc, number = refusal
        if ssrc is None:
            self.reasons[reason] += 1
        elif reason == REPLAYED:
            self.replayed.append((ssrc, number))
        else:
            self.corrupted[ssrc] += 1

    def merge(self, other: Refused) -> None:
        """All of these, too."""
        self.reasons.update(other.reasons)
        self.corrupted.update(other.corrupted)
        self.replayed += other.replayed

    def __bool__(self) -> bool:
        return bool(self.reasons or self.corrupted or self.replayed)

    def total(self) -> int:
        """All of them."""
        return self.reasons.total() + self.corrupted.total() + len(self.replayed)
