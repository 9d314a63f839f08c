"""From what the session and the players counted to the snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from protocol.rtp import HEADER_SIZE as RTP_HEADER
from receiver.account import needed_buffer
from receiver.account.gilbert_elliott import fit
from receiver.account.intervals import Interval
from receiver.listener import rating
from receiver.media import StreamKey
from receiver.playback import Played
from receiver.report.snapshot import (
    BufferSnapshot,
    Bursts,
    EModel,
    Event,
    IntervalSnapshot,
    Percentiles,
    Snapshot,
    SocketSnapshot,
    StreamSnapshot,
    Traffic,
)  # fmt: skip
from receiver.session import SessionStatistics
from receiver.stream import StreamStatistics

_HEADERS = RTP_HEADER + 8 + 20
"""octets of RTP (without CSRC and extensions), UDP and IPv4."""
_COUNTS = (
    "sent", "arrived", "lost", "lost_local", "in_time", "recovered_rtx", "recovered_fec", "missed", "late",
    "arrived_after_recovery", "duplicates", "reordered",
)  # fmt: skip


def collect(
    statistics: SessionStatistics,
    played: Mapping[StreamKey, Played],
    events: tuple[Event, ...],
    *,
    time_s: float,
    rates: Mapping[StreamKey, float],
    skew: Percentiles | None,
    kernel_drops: int | None,
    kernel_drops_exact: bool,
    output_drops: Mapping[str, int],
    began: int = 0,
) -> Snapshot:
    """`rates`: bit/s of each stream; `skew`: between the streams that are played; `output_drops`: what outputs had no
    time for, by name; `began`: monotonic ns of the start."""
    streams = tuple(_stream(s, statistics, played.get(s.key, Played()), rates, skew, began) for s in statistics.streams)
    drops = {
        "decode": sum(p.queue_drops for p in played.values()),
        "buffer": sum(s.overflowed for s in statistics.streams),
        "streams in this report": statistics.forgotten_streams,
        **output_drops,
    }
    socket = SocketSnapshot(
        statistics.datagrams,
        {reason: count for reason, count in statistics.unparsed.items() if count},
        kernel_drops,
        kernel_drops_exact,
        statistics.unmatched_repair,
        {name: count for name, count in drops.items() if count},
    )
    return Snapshot(time_s, streams, socket, events)


def _stream(
    s: StreamStatistics,
    session: SessionStatistics,
    played: Played,
    rates: Mapping[StreamKey, float],
    skew: Percentiles | None,
    began: int,
) -> StreamSnapshot:
    return StreamSnapshot(
        ssrc=s.key.ssrc,
        epoch=s.key.epoch,
        media=s.format.media,
        encoding=s.format.encoding,
        payload_type=s.payload_type,
        ledger=s.ledger,
        cname=session.cnames.get(s.key.ssrc),
        packets_received=s.packets,
        bitrate_bps=rates.get(s.key),
        jitter_ms=_ms(s.jitter),
        delay_variation_ms=_percentiles(s.delay_variation, None),
        buffer=BufferSnapshot(_ms(s.buffer_delay / s.emitted) if s.emitted else None, _ms(s.target), s.emitted),
        playout_delay_ms=_percentiles(s.playout_delay, s.playout_delay_mean),
        av_skew_ms=skew,
        video=played.video,
        audio=played.audio,
        loss_runs=s.loss_runs,
        unusable=s.unusable,
        rtt_ms=_ms(s.round_trip),
        one_way_delay_ms=_ms(s.one_way.delay) if s.one_way else None,
        one_way_delay_error_ms=_ms(s.one_way.error) if s.one_way else None,
        clock_skew_ppm=s.skew_ppm,
        late_runs=s.late_runs,
        bursts=_bursts(s),
        gilbert_elliott=fit(s.loss_sample),
        reordering_extent=s.reordering_extent,
        reordering_late_ms=_percentiles(s.reordering_late, None),
        delay_distribution=needed_buffer.distribution(s.delays),
        needed_buffer=needed_buffer.curve(s.delays),
        e_model=_e_model(s),
        traffic=_traffic(s),
        repair=s.repair,
        ahead=s.ahead,
        repair_plan=s.repair_plan,
        intervals=tuple(_interval(row, began) for row in s.intervals),
    )


def _bursts(s: StreamStatistics) -> Bursts | None:
    told, spacing = s.bursts, s.spacing
    if not told.packets or spacing is None:
        return None
    durations = [None if n is None else _ms(n * spacing) for n in (told.burst_length, told.gap_length)]
    return Bursts(told.gmin, told.bursts, told.burst_density, told.gap_density, *durations)


def _e_model(s: StreamStatistics) -> EModel | None:
    rated = rating(s)
    if rated is None:
        return None
    return EModel(
        rated.r, rated.mos, rated.delay_ms, rated.loss, rated.burst_ratio,
        rated.codec.equipment_impairment, rated.codec.loss_robustness,
    )  # fmt: skip


def _traffic(s: StreamStatistics) -> Traffic:
    again, octets = (0, 0) if s.repair is None else (s.repair.packets, s.repair.octets)
    if s.ahead is not None and s.ahead.fec is not None:
        again, octets = again + s.ahead.fec.received, octets + s.ahead.fec_octets
    return Traffic(
        media=s.octets,
        repair=octets,
        headers=(s.packets + again) * _HEADERS,
        rtcp=s.rtcp_octets + s.rtcp_packets * (_HEADERS - RTP_HEADER),
    )


@lru_cache(maxsize=4096)
def _interval(row: Interval, began: int) -> IntervalSnapshot:
    """Kept, because a row never changes and there may be a thousand of them each second."""
    counts = {name: getattr(row, name) for name in _COUNTS}
    return IntervalSnapshot((row.began - began) / 1e9, (row.ended - began) / 1e9, row.first, row.end - 1, counts)


def _ms(ns: float | None) -> float | None:
    return None if ns is None else ns / 1e6


def _percentiles(ns: Mapping[str, int | None], mean: float | None) -> Percentiles | None:
    if ns.get("p50") is None:
        return None
    found = (_ms(ns.get(name)) for name in ("p50", "p95", "p99", "p99.9"))
    return Percentiles(_ms(mean), *found)
