"""What became of what was asked for again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class NackCounts:
    """Cumulative, one stream."""

    nacks: int = 0
    """NACK packets sent, every copy."""
    requested: int = 0
    """packets asked for."""
    repaired: int = 0
    """of them came again before their deadline, the original had not."""
    late: int = 0
    """came again after it."""
    useless: int = 0
    """of those requested, the original came after all."""
    not_requested: int = 0
    """missing packets whose repair could not have come before their deadline."""
    rounds: Mapping[int, int] = field(default_factory=dict)
    """round trips that it took → packets repaired."""
    packets: int = 0
    """retransmissions received."""
    octets: int = 0
    """of RTP payload in them."""
    refused: Mapping[str, int] = field(default_factory=dict)
    """retransmissions of no use, by reason."""
