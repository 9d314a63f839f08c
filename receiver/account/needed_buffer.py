"""What buffer would have been needed? The arrivals there were, played through buffers of every fixed length.

A buffer of fixed length plays what was captured at t when a packet of least transit captured then would have arrived,
and so much later; late is what took longer. The least transit is that of account.clock, the clocks' skew taken out, so
the share late with a buffer is the share of packets that exceeded the least transit by more: the tail of their
distribution. Bins of the distribution are 3 % wide at most, and a packet counts as late up to the end of its bin.
"""

from __future__ import annotations

from collections.abc import Mapping

_FINER = 0.95
"""of two neighbours of the curve the later one has at most this share of the first one's late packets."""
_PER_DOUBLING = 8

Curve = tuple[tuple[float, float], ...]
"""(ms of buffer, share of the arrived packets that would have been late): ascending in ms, falling in share."""


def curve(bins: Mapping[int, int]) -> Curve:
    """`bins`: packets by µs above the least transit, as account.histogram tells them, ascending; () where none came.

    From 0 to the first buffer with which none would have been late.
    """
    total = sum(bins.values())
    if not total:
        return ()
    late = total - bins.get(0, 0)
    points = [(0.0, late / total)]
    for lower, count in bins.items():
        late -= count if lower else 0
        if late < points[-1][1] * total and late <= _FINER * points[-1][1] * total:
            points.append((_beyond(lower) / 1000, late / total))
    return tuple(points)


def buffer_for(points: Curve, share: float) -> float | None:
    """The least ms of fixed buffer with which at most `share` of the packets would have been late; None where nothing
    is known."""
    return next((ms for ms, late in points if late <= share), None)


def distribution(bins: Mapping[int, int]) -> tuple[tuple[float, int], ...]:
    """(ms above the least transit, the lower edge of a bin; packets), ascending, bins joined to eight a doubling."""
    joined: dict[int, int] = {}
    for lower, count in bins.items():
        edge = _coarse(lower)
        joined[edge] = joined.get(edge, 0) + count
    return tuple((edge / 1000, count) for edge, count in joined.items())


def _coarse(value: int) -> int:
    """The lower edge of the coarser bin of a number of µs."""
    if value < 1 << 10:  # below a millisecond: by 128 µs
        return value >> 7 << 7
    width = (1 << (value.bit_length() - 1)) // _PER_DOUBLING
    return value // width * width


def _beyond(lower: int) -> int:
    """One past the bin of account.histogram that begins at `lower`."""
    return lower + (1 if lower < 64 else 1 << (lower.bit_length() - 6))
