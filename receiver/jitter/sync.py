"""Lip-sync: how long each stream of a sender must wait so that what was captured together is played together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    """ns each stream must be delayed beyond its own target: all streams of a CNAME wait for the slowest.

    The clocks' unknown difference is the same in every offset of a CNAME, so it cancels.
    """
    slowest: dict[str, int] = {}
    for o in offsets:
        slowest[o.cname] = max(slowest.get(o.cname, o.playout_offset), o.playout_offset + o.device_latency)
    waits = [max(0, slowest[o.cname] - o.playout_offset - o.device_latency) for o in offsets]
    return [wait if wait <= MAX_EXTRA else 0 for wait in waits]
