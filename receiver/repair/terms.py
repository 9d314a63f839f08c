"""What repair a stream may use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Terms:
    """Retransmission always; what is sent ahead of need as far as it is taken."""

    wait: int
    """ns after the least transit in which repair should have come."""
    fec: bool = False
    """Reed–Solomon repair packets are taken,"""
    red: bool = False
    """and redundant sound."""
    share: float | None = None
    """of repair packets for each packet of media, that the user decided on; None: as planned."""
    grace: int = 0
    """ns for which pictures wait beyond, where repair is under way: a key frame in its place takes longer."""
