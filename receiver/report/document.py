"""The snapshot as the JSON object of docs/report.md. What was not measured is null, never 0."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from protocol.command.versions import versions
from receiver.media import AudioPlayoutStatistics, VideoPlayoutStatistics
from receiver.repair.ahead import AheadCounts
from receiver.report.snapshot import Bursts, Percentiles, Ratio, Snapshot, SocketSnapshot, StreamSnapshot, ratios
from receiver.report.verdict import verdict

SCHEMA = "steadycast/1"
MAX_INTERVALS = 1000


def document(
    snapshot: Snapshot,
    configuration: Mapping[str, object],
    *,
    ports: Sequence[int] = (),
    error: str | None = None,
    intervals: Sequence[Mapping[str, object]] = (),
    peers: Sequence[Mapping[str, object]] = (),
) -> dict[str, object]:
    """The whole report; `ports` are where packets were expected, for the verdict of a run in which none came."""
    return {
        "schema": SCHEMA,
        "error": error,
        "verdict": verdict(snapshot, ports),
        "versions": versions(),
        "configuration": dict(configuration),
        "duration_s": round(snapshot.time_s, 3),
        "streams": [_stream(stream) for stream in snapshot.streams],
        "socket": _socket(snapshot.socket),
        "intervals": [dict(interval) for interval in intervals],
        "events": [asdict(event) for event in snapshot.events],
        "peer": dict(peers[0]) if len(peers) == 1 else None,
        "peers": [dict(peer) for peer in peers] if len(peers) > 1 else [],
        "not_measured": not_measured(snapshot),
    }


def interval(snapshot: Snapshot, before: Snapshot | None) -> dict[str, object]:
    """One row of `intervals`: the cumulative counts at its end, provisional; rates are the reader's business."""
    return {
        "start_s": round(before.time_s if before else 0.0, 3),
        "end_s": round(snapshot.time_s, 3),
        "streams": [
            {
                "ssrc": stream.ssrc,
                "epoch": stream.epoch,
                "ledger": asdict(stream.ledger),
                "bitrate_bps": _number(stream.bitrate_bps),
                "jitter_ms": _number(stream.jitter_ms),
                "rtt_ms": _number(stream.rtt_ms),
                "buffer": _buffer(stream),
            }
            for stream in snapshot.streams
        ],
        "kernel_drops": snapshot.socket.kernel_drops,
    }


def thinned(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """At most MAX_INTERVALS rows: of more, the first half is joined two by two, so the past gets coarser."""
    if len(rows) <= MAX_INTERVALS:
        return rows
    half = len(rows) // 4 * 2
    pairs = zip(rows[:half:2], rows[1:half:2], strict=True)
    return [{**later, "start_s": sooner["start_s"]} for sooner, later in pairs] + rows[half:]


def not_measured(snapshot: Snapshot) -> list[str]:
    """In words: what the nulls of this report are about."""
    missing = []
    for stream in snapshot.streams:
        name = f"{stream.media} {stream.ssrc:#010x}"
        if not stream.ledger.sent_known:
            missing.append(f"{name}: how many packets were sent (the sender gave no range)")
        if stream.rtt_ms is None:
            missing.append(f"{name}: round-trip time (no exchange of RTCP reports)")
        if stream.one_way_delay_ms is None:
            missing.append(f"{name}: one-way delay (the two clocks were not compared)")
        if stream.media == "audio" and stream.e_model is None:
            missing.append(f"{name}: E-model (nothing was played, or the length of the way is not known)")
    if snapshot.socket.kernel_drops is None:
        missing.append("datagrams dropped by this machine's kernel (the platform does not say)")
    elif snapshot.socket.kernel_drops and not snapshot.socket.kernel_drops_exact:
        missing.append(
            "the exact number of datagrams the kernel dropped (it counted aggregates; --no-gro makes it exact)"
        )
    return missing


def _stream(stream: StreamSnapshot) -> dict[str, object]:
    return {
        "ssrc": stream.ssrc,
        "media": stream.media,
        "encoding": stream.encoding,
        "payload_type": stream.payload_type,
        "epoch": stream.epoch,
        "cname": stream.cname,
        "packets_received": stream.packets_received,
        "ledger": asdict(stream.ledger),
        "ratios": {name: _ratio(ratio) for name, ratio in ratios(stream.ledger).items()},
        "unusable": dict(stream.unusable),
        "loss_runs": {str(length): count for length, count in sorted(stream.loss_runs.items())},
        "late_runs": {str(length): count for length, count in sorted(stream.late_runs.items())},
        "bursts": _rounded(stream.bursts),
        "gilbert_elliott": _gilbert_elliott(stream),
        "reordering": {
            "extent": {str(extent): count for extent, count in sorted(stream.reordering_extent.items())},
            "late_ms": _percentiles(stream.reordering_late_ms, "p50", "p95", "p99"),
        },
        "bitrate_bps": _number(stream.bitrate_bps),
        "jitter_ms": _number(stream.jitter_ms),
        "delay_variation_ms": _percentiles(stream.delay_variation_ms, "p50", "p95", "p99", "p99_9"),
        "delay_distribution": [[_number(ms), packets] for ms, packets in stream.delay_distribution],
        "rtt_ms": _number(stream.rtt_ms),
        "one_way_delay_ms": _number(stream.one_way_delay_ms),
        "one_way_delay_error_ms": _number(stream.one_way_delay_error_ms),
        "clock_skew_ppm": _number(stream.clock_skew_ppm),
        "buffer": _buffer(stream),
        "playout_delay_ms": _percentiles(stream.playout_delay_ms, "mean", "p50", "p95"),
        "av_skew_ms": _percentiles(stream.av_skew_ms, "p50", "p95"),
        "frames": _frames(stream.video),
        "freezes": _freezes(stream.video),
        "concealment": _concealment(stream.audio),
        "needed_buffer": [[_number(ms), _share(late)] for ms, late in stream.needed_buffer] or None,
        "e_model": _e_model(stream),
        "traffic": None if stream.traffic is None else asdict(stream.traffic),
        "repair": _repair(stream),
        "intervals": [
            {
                "start_s": round(row.start_s, 3),
                "end_s": round(row.end_s, 3),
                "first": row.first,
                "last": row.last,
                **row.counts,
            }
            for row in stream.intervals
        ],
    }


def _ratio(ratio: Ratio) -> dict[str, object]:
    return {"value": ratio.value, "numerator": ratio.numerator, "denominator": ratio.denominator}


def _buffer(stream: StreamSnapshot) -> dict[str, object]:
    return {
        "delay_mean_ms": _number(stream.buffer.delay_mean_ms),
        "target_ms": _number(stream.buffer.target_ms),
        "emitted": stream.buffer.emitted,
    }


def _percentiles(values: Percentiles | None, *names: str) -> dict[str, object] | None:
    return None if values is None else {name: _number(getattr(values, name)) for name in names}


def _share(value: float) -> float:
    """Of packets: a number in a million still shows."""
    return round(value, 7)


def _rounded(bursts: Bursts | None) -> dict[str, object] | None:
    return None if bursts is None else {name: _number(value) for name, value in asdict(bursts).items()}


def _gilbert_elliott(stream: StreamSnapshot) -> dict[str, object] | None:
    if stream.gilbert_elliott is None:
        return None
    return {
        name: {bound: _share(value) for bound, value in estimate.items()}
        for name, estimate in asdict(stream.gilbert_elliott).items()
    }


def _e_model(stream: StreamSnapshot) -> dict[str, object] | None:
    estimate = stream.e_model
    if estimate is None:
        return None
    return {
        "r": _number(estimate.r),
        "mos": _number(estimate.mos),
        "delay_ms": _number(estimate.delay_ms),
        "loss": _share(estimate.loss),
        "burst_ratio": _number(estimate.burst_ratio),
        "ie": estimate.equipment_impairment,
        "bpl": estimate.loss_robustness,
    }


def _repair(stream: StreamSnapshot) -> dict[str, object] | None:
    if stream.repair is None:
        return None
    counts = asdict(stream.repair)
    rounds = {str(rounds): packets for rounds, packets in sorted(stream.repair.rounds.items())}
    return {**counts, "rounds": rounds, "plan": stream.repair_plan, **_ahead(stream.ahead)}


def _ahead(ahead: AheadCounts | None) -> dict[str, object]:
    """What was sent ahead of need."""
    told: dict[str, object] = {"fec": None, "red": None}
    if ahead is not None and (fec := ahead.fec) is not None:
        told["fec"] = {
            "packets": fec.received,
            "octets": ahead.fec_octets,
            "rebuilt": fec.rebuilt,
            "unneeded": fec.unneeded,
            "unsolved": fec.unsolved,
            "refused": dict(fec.refused),
        }
    if ahead is not None and (red := ahead.red) is not None:
        told["red"] = {"copies": red.copies, "unneeded": red.unneeded, "refused": dict(red.refused)}
    return told


def _frames(video: VideoPlayoutStatistics | None) -> dict[str, object] | None:
    if video is None:
        return None
    return {
        "received": video.frames_received,
        "decoded": video.frames_decoded,
        "rendered": video.frames_rendered,
        "dropped_network": video.dropped_network,
        "dropped_late": video.dropped_late,
        "dropped_decode": video.dropped_decode,
        "dropped_display": video.dropped_display,
        "damaged": video.damaged,
        "held": video.held,
        "recovery_ms": {"p50": _number(video.recovery_p50_ms), "p95": _number(video.recovery_p95_ms)},
        "width": video.width or None,
        "height": video.height or None,
    }


def _freezes(video: VideoPlayoutStatistics | None) -> dict[str, object] | None:
    if video is None:
        return None
    return {"count": video.freeze_count, "seconds": round(video.total_freezes_duration_s, 3)}


def _concealment(audio: AudioPlayoutStatistics | None) -> dict[str, object] | None:
    if audio is None:
        return None
    return {name: _number(value) for name, value in asdict(audio).items()}


def _socket(socket: SocketSnapshot) -> dict[str, object]:
    return {
        "datagrams": socket.datagrams,
        "unparsed": dict(socket.unparsed),
        "kernel_drops": socket.kernel_drops,
        "kernel_drops_exact": socket.kernel_drops_exact,
        "unmatched_repair": dict(socket.unmatched_repair),
        "queue_drops": dict(socket.queue_drops),
    }


def _number(value: float | None) -> float | None:
    """Rounded for reading; what is no number is null."""
    if value is None or not math.isfinite(value):
        return None
    return value if isinstance(value, int) else round(value, 3)
