"""What the receiver knows at one moment: frozen, cumulative, the one object that every view is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from receiver.account.gilbert_elliott import Estimate as Estimate
from receiver.account.gilbert_elliott import GilbertElliott as GilbertElliott
from receiver.media import AudioPlayoutStatistics, VideoPlayoutStatistics

if TYPE_CHECKING:
    from receiver.account.ledger import LedgerCounts
    from receiver.repair.ahead import AheadCounts
    from receiver.repair.nack_counts import NackCounts


@dataclass(frozen=True, slots=True)
class Ratio:
    """A share that never travels without what it is a share of."""

    numerator: int | None
    denominator: int | None

    @property
    def value(self) -> float | None:
        """None where either part is unknown, or nothing was there to take a share of."""
        if self.numerator is None or not self.denominator:
            return None
        return self.numerator / self.denominator

    def __str__(self) -> str:
        """`0.48 % (29/6012)`, or `unknown`."""
        if self.value is None:
            return "unknown"
        return f"{100 * self.value:.2f} % ({self.numerator}/{self.denominator})"


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Milliseconds; None where nothing was measured."""

    mean: float | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    p99_9: float | None = None


@dataclass(frozen=True, slots=True)
class BufferSnapshot:
    """The jitter buffer of one stream."""

    delay_mean_ms: float | None = None
    """webrtc-stats jitterBufferDelay / jitterBufferEmittedCount."""
    target_ms: float | None = None
    """what it aims at now."""
    emitted: int = 0
    """webrtc-stats jitterBufferEmittedCount: units handed on."""


@dataclass(frozen=True, slots=True)
class Bursts:
    """RFC 3611 §4.7.2: bursts of loss and the gaps between them, over closed numbers; None where there were none."""

    gmin: int
    """packets received in a row that end a burst."""
    count: int
    """bursts."""
    burst_density: float | None
    """share of packets lost or late within bursts."""
    gap_density: float | None
    burst_duration_ms: float | None
    """mean."""
    gap_duration_ms: float | None


@dataclass(frozen=True, slots=True)
class EModel:
    """ITU-T G.107, an estimate: what a listener would say of a conversation with this delay and loss."""

    r: float
    mos: float
    delay_ms: float
    """one way, mouth to ear, that was assumed."""
    loss: float
    """share of packets the listener missed."""
    burst_ratio: float
    equipment_impairment: float
    """Ie of the codec."""
    loss_robustness: float
    """Bpl of the codec."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Octets received, cumulative."""

    media: int = 0
    """RTP payload."""
    repair: int = 0
    headers: int = 0
    """RTP, UDP and IP headers of both."""
    rtcp: int = 0
    """with its headers."""


@dataclass(frozen=True, slots=True)
class IntervalSnapshot:
    """A stretch of a stream's numbers that became known within about a second: its packets' fates, final."""

    start_s: float
    end_s: float
    first: int
    """extended sequence number."""
    last: int
    counts: Mapping[str, int]
    """packets by fate, named as in the ledger."""


@dataclass(frozen=True, slots=True)
class StreamSnapshot:
    """One epoch of one SSRC."""

    ssrc: int
    epoch: int
    media: str
    """audio or video."""
    encoding: str
    payload_type: int
    ledger: LedgerCounts
    cname: str | None = None
    packets_received: int | None = None
    """datagrams of this SSRC and epoch, every copy; None: not counted apart from the ledger."""
    bitrate_bps: float | None = None
    """RTP payload over the last second or so."""
    jitter_ms: float | None = None
    """interarrival jitter, RFC 3550 §6.4.1."""
    delay_variation_ms: Percentiles | None = None
    """above the least transit seen, RFC 5481."""
    rtt_ms: float | None = None
    one_way_delay_ms: float | None = None
    """of the least transit; None: the two clocks were not compared."""
    one_way_delay_error_ms: float | None = None
    """the true value lies within this of it: at most half the least round trip."""
    clock_skew_ppm: float | None = None
    """by which the sender's clock runs slower than this one; None while it is not known."""
    buffer: BufferSnapshot = BufferSnapshot()
    playout_delay_ms: Percentiles | None = None
    """playout − (capture instant + least transit seen)."""
    av_skew_ms: Percentiles | None = None
    """of the size of audio playout − video playout."""
    video: VideoPlayoutStatistics | None = None
    audio: AudioPlayoutStatistics | None = None
    unusable: Mapping[str, int] = field(default_factory=dict)
    """reason → frames that arrived and no decoder can use, and packets of payload types that are not the stream's."""
    loss_runs: Mapping[int, int] = field(default_factory=dict)
    """length of a run of lost packets → how often."""
    late_runs: Mapping[int, int] = field(default_factory=dict)
    """length of a run of late packets → how often."""
    bursts: Bursts | None = None
    """None: nothing closed yet."""
    gilbert_elliott: GilbertElliott | None = None
    """None: not enough losses."""
    reordering_extent: Mapping[int, int] = field(default_factory=dict)
    """packets that came before it and should have come after (RFC 4737 §4.2.1) → how often."""
    reordering_late_ms: Percentiles | None = None
    """buffer that would have restored the order (RFC 4737 §4.3)."""
    delay_distribution: tuple[tuple[float, int], ...] = ()
    """(ms above the least transit, lower edge of a bin; packets), ascending."""
    needed_buffer: tuple[tuple[float, float], ...] = ()
    """(ms of fixed buffer, share of the arrived packets that would have been late), ascending; () before any came."""
    e_model: EModel | None = None
    """audio."""
    traffic: Traffic | None = None
    repair: NackCounts | None = None
    """None: there was none."""
    ahead: AheadCounts | None = None
    """None with it."""
    repair_plan: str | None = None
    intervals: tuple[IntervalSnapshot, ...] = ()
    """the final ones, in order."""


@dataclass(frozen=True, slots=True)
class SocketSnapshot:
    """What cannot be attributed to a stream."""

    datagrams: int = 0
    unparsed: Mapping[str, int] = field(default_factory=dict)
    """reason → datagrams."""
    kernel_drops: int | None = None
    """datagrams this machine's kernel dropped; None where the platform does not say."""
    kernel_drops_exact: bool = True
    """False under UDP_GRO, where the kernel counts aggregates."""
    unmatched_repair: Mapping[str, int] = field(default_factory=dict)
    """reason → retransmissions that belong to no stream."""
    queue_drops: Mapping[str, int] = field(default_factory=dict)
    """bounded queue inside the program → what it threw away when full."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened once."""

    time_s: float
    """since the start."""
    kind: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    time_s: float
    """since the start."""
    streams: tuple[StreamSnapshot, ...] = ()
    socket: SocketSnapshot = SocketSnapshot()
    events: tuple[Event, ...] = ()


def ratios(counts: LedgerCounts) -> dict[str, Ratio]:
    """The five shares of what was sent; unknown while what was sent is."""
    sent = counts.sent if counts.sent_known else None
    return {
        "network_loss": Ratio(counts.lost_network, sent),
        "local_drop": Ratio(counts.lost_local, sent),
        "late": Ratio(counts.late, sent),
        "recovered": Ratio(counts.recovered_rtx + counts.recovered_fec, sent),
        "effective_loss": Ratio(counts.missed, sent),
    }


def broken_invariants(stream: StreamSnapshot) -> list[str]:
    """What does not add up: [] when the ledger balances."""
    counts = stream.ledger
    sums: list[tuple[str, int | None, int | None]] = [
        ("numbers = arrived + lost", counts.span, counts.arrived + counts.lost),
        (
            "numbers = in_time + recovered + missed + undecided",
            counts.span,
            counts.in_time + counts.recovered_rtx + counts.recovered_fec + counts.missed + counts.undecided,
        ),
        (
            "lost = local + sender + network",
            counts.lost,
            counts.lost_local + counts.lost_sender + counts.lost_network,
        ),
    ]
    if counts.sent_known:
        sums.append(("sent = numbers", counts.sent, counts.span))
    if stream.packets_received is not None:
        came = counts.arrived + counts.duplicates + counts.after_close + counts.before_join
        sums.append(("received = arrived + duplicates + after_close + before_join", stream.packets_received, came))
    return [f"{rule}: {left} ≠ {right}" for rule, left, right in sums if left != right]
