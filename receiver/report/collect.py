"""From what the session and the players counted to the snapshot."""

from __future__ import annotations

from collections.abc import Mapping

from receiver.media import StreamKey
from receiver.playback import Played
from receiver.report.snapshot import BufferSnapshot, Event, Percentiles, Snapshot, SocketSnapshot, StreamSnapshot
from receiver.session import SessionStatistics
from receiver.stream import StreamStatistics


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
) -> Snapshot:
    """`rates`: bit/s of each stream; `skew`: between the streams that are played; `output_drops`: what outputs had no
    time for, by name."""
    streams = tuple(_stream(s, statistics, played.get(s.key, Played()), rates, skew) for s in statistics.streams)
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
        {name: count for name, count in drops.items() if count},
    )
    return Snapshot(time_s, streams, socket, events)


def _stream(
    s: StreamStatistics,
    session: SessionStatistics,
    played: Played,
    rates: Mapping[StreamKey, float],
    skew: Percentiles | None,
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
    )


def _ms(ns: float | None) -> float | None:
    return None if ns is None else ns / 1e6


def _percentiles(ns: Mapping[str, int | None], mean: float | None) -> Percentiles | None:
    if ns.get("p50") is None:
        return None
    return Percentiles(_ms(mean), _ms(ns.get("p50")), _ms(ns.get("p95")), _ms(ns.get("p99")))
