"""Lip-sync: how long each stream of a sender must wait so that what was captured together is played together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MAY_LAG = 5_000_000
"""ns by which sound may be later than its picture without a picture waiting for it: what is noticed is many times that,
45 ms of sound that is early or 125 ms of sound that is late (ITU-R BT.1359)."""
MAX_EXTRA = 2_000_000_000
"""ns; sender reports that ask for more are not believed."""


@dataclass(frozen=True, slots=True)
class Offset:
    """One stream's own playout, seen from its sender's clock."""

    cname: str
    media: str
    playout_offset: int
    """ns: playout (monotonic, this machine) minus capture (NTP as Unix time, the sender's), without any extra."""
    device_latency: int = 0
    """ns between hand-over to the device and the ear or eye."""


def extras(offsets: Sequence[Offset]) -> list[int]:
    """ns each stream must be delayed beyond its own target: all streams of a CNAME wait for the slowest, pictures for
    sound a little less.

    The clocks' unknown difference is the same in every offset of a CNAME, so it cancels.
    """
    waits = [max(_wait(o, other) for other in offsets if other.cname == o.cname) for o in offsets]
    return [wait if wait <= MAX_EXTRA else 0 for wait in waits]


def _wait(o: Offset, other: Offset) -> int:
    """For another stream of the same sender."""
    may_lag = MAY_LAG if (o.media, other.media) == ("video", "audio") else 0
    after = other.playout_offset + other.device_latency - o.playout_offset - o.device_latency
    return max(0, after - may_lag)
