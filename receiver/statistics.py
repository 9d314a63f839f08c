"""What streams and a session have counted: the raw figures that a report is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from receiver.account.bursts import BurstCounts
from receiver.account.gilbert_elliott import Sample
from receiver.account.intervals import Interval
from receiver.account.ledger import LedgerCounts
from receiver.account.one_way import OneWay
from receiver.media import Format, StreamKey
from receiver.repair.ahead import AheadCounts
from receiver.repair.nack_counts import NackCounts


@dataclass(frozen=True, slots=True)
class StreamStatistics:
    """Cumulative; times are ns."""

    key: StreamKey
    format: Format
    payload_type: int
    ended: bool
    """nothing follows, and all figures are final."""
    packets: int
    octets: int
    """of RTP payload."""
    rtcp_packets: int
    rtcp_octets: int
    """its sender's reports, as UDP payload."""
    overflowed: int
    unusable: dict[str, int]
    """units that no decoder can use and packets of other payload types, by reason."""

    ledger: LedgerCounts
    intervals: tuple[Interval, ...]
    """the final ones, in order."""
    loss_runs: dict[int, int]
    late_runs: dict[int, int]
    bursts: BurstCounts
    spacing: float | None
    """mean time between packets; None before two came."""
    loss_sample: Sample
    """for account.gilbert_elliott.fit."""
    reordering_extent: dict[int, int]
    reordering_late: dict[str, int | None]

    jitter: int | None
    delay_variation: dict[str, int | None]
    delays: dict[int, int]
    """packets by µs above the least transit, first copies."""
    skew_ppm: float | None
    round_trip: int | None
    """of the newest exchange."""
    one_way: OneWay | None
    """of the least transit."""

    buffer_delay: int
    """sum over emitted units of hand-over minus first arrival (webrtc-stats jitterBufferDelay)."""
    emitted: int
    target: int
    playout_delay_mean: int | None
    playout_delay: dict[str, int | None]

    repair: NackCounts | None
    """None: there is none."""
    ahead: AheadCounts | None
    repair_plan: str | None
    """what is asked for at present, and why."""
    rate_limit: int | None = None
    """bit/s that its sender is asked to keep to; None: there is no limit."""


@dataclass(frozen=True, slots=True)
class SessionStatistics:
    """Cumulative."""

    streams: tuple[StreamStatistics, ...]
    cnames: Mapping[int, str]
    datagrams: int
    unparsed: Mapping[str, int]
    kernel_drops: int
    forgotten_streams: int
    """ended so long ago that the report has no room for them."""
    unmatched_repair: Mapping[str, int]
    """retransmissions that belong to no stream, by reason."""
    planned_skew: int | None
    """ns by which sound is meant to be heard after the picture captured with it; None without both and their SR."""
