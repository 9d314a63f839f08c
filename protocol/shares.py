"""How sure a share is, and how much repair it asks for: both ends plan by it."""

from __future__ import annotations

import math

_Z = 1.959964
"""of a 95 % interval."""


def wilson(hits: int, count: int) -> tuple[float, float]:
    """95 % confidence interval of a share (Wilson's score interval); (0, 1) of nothing."""
    if count <= 0:
        return 0.0, 1.0
    share, square = hits / count, _Z * _Z / count
    middle = (share + square / 2) / (1 + square)
    half = _Z * math.sqrt(share * (1 - share) / count + square / (4 * count)) / (1 + square)
    return max(0.0, middle - half), min(1.0, middle + half)


def repair_packets(loss: float, block: int, residue: float = 1e-3) -> int:
    """How many repair packets for `block` packets leave a block beyond repair in at most `residue` of all cases, where
    any of them can stand for any lost one and losses come singly; at most `block`."""
    for repair in range(block):
        if _beyond(loss, block + repair, repair) <= residue:
            return repair
    return block


def _beyond(loss: float, packets: int, repaired: int) -> float:
    """Probability that more than `repaired` of `packets` are lost."""
    kept = sum(math.comb(packets, lost) * loss**lost * (1 - loss) ** (packets - lost) for lost in range(repaired + 1))
    return max(0.0, 1 - kept)
