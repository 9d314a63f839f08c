"""What a link's log says about each RTP stream: the figures a ledger has to come to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from protocol.payload.registry import DEFAULT_RTX_PAYLOAD_TYPES, FEC_PAYLOAD_TYPE
from tests.support.netem import Fate, rtp_only

CORRUPTED = "corrupted"
REPAIR = {FEC_PAYLOAD_TYPE, *DEFAULT_RTX_PAYLOAD_TYPES}
"""payload types of what is sent beside the streams."""


@dataclass(frozen=True, slots=True)
class Truth:
    """One RTP stream, from outside."""

    ssrc: int
    sent: int
    """numbers given to the network."""
    arrived: int
    """of which at least one copy came out."""
    duplicates: int
    """copies beyond the first."""
    reordered: int
    """first copies that came after one with a higher number (RFC 4737 §3.3)."""
    loss_runs: dict[int, int]
    """how many runs of 1, 2, 3 … numbers in a row were lost."""
    corrupted: int
    """packets of which a bit was flipped (counted as arrived)."""

    @property
    def lost(self) -> int:
        return self.sent - self.arrived


def of_streams(log: Iterable[Fate]) -> dict[int, Truth]:
    """The truth about every SSRC in a log. Sequence numbers are taken in the order of sending, so they may wrap."""
    streams: dict[int, list[Fate]] = {}
    for fate in log:
        if rtp_only(fate.head) and fate.head[1] & 0x7F not in REPAIR:
            streams.setdefault(int.from_bytes(fate.head[8:12]), []).append(fate)
    return {ssrc: _of_stream(ssrc, fates) for ssrc, fates in streams.items()}


def _of_stream(ssrc: int, fates: list[Fate]) -> Truth:
    arrived = [fate for fate in fates if fate.arrivals]
    return Truth(
        ssrc,
        sent=len(fates),
        arrived=len(arrived),
        duplicates=sum(len(fate.arrivals) - 1 for fate in arrived),
        reordered=_reordered(fates),
        loss_runs=_runs([not fate.arrivals for fate in fates]),
        corrupted=sum(fate.what == CORRUPTED for fate in fates),
    )


def _reordered(fates: list[Fate]) -> int:
    """Arrivals are taken as the network orders them: by time, then by order of sending."""
    firsts = sorted((min(fate.arrivals), at) for at, fate in enumerate(fates) if fate.arrivals)
    highest, late = -1, 0
    for _, at in firsts:
        late += at < highest
        highest = max(highest, at)
    return late


def _runs(lost: list[bool]) -> dict[int, int]:
    runs: Counter[int] = Counter()
    length = 0
    for gone in [*lost, False]:
        if gone:
            length += 1
        elif length:
            runs[length] += 1
            length = 0
    return dict(sorted(runs.items()))
