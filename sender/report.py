"""The snapshot as the JSON object of measurement.md, seen from the sending end.

The sender knows exactly what it sent. What the network did to it is known to the receiver: here those fields are null,
and what receivers reported by RTCP stands beside them under its RTCP name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from protocol import peer_report
from protocol.command.versions import versions
from protocol.rtcp import trace
from protocol.rtcp.xr import UNAVAILABLE, RunLengths, StatisticsSummary, VoipMetrics
from sender.snapshot import Reception, RepairStatistics, Snapshot, StreamStatistics, TargetSnapshot
from sender.transmit.extended import Extended

_LEDGER = (
    "arrived", "lost", "lost_network", "lost_local", "in_time", "recovered_rtx", "recovered_fec", "missed", "late",
    "arrived_after_recovery", "duplicates", "after_close", "before_join", "reordered", "corrupted",
)  # fmt: skip
_RATIOS = ("network_loss", "local_drop", "late", "recovered", "effective_loss")


def report(snapshot: Snapshot, configuration: Mapping[str, object], error: str | None) -> dict[str, object]:
    """Schema steadycast/1; a figure that was not measured is null."""
    peers = [dict(peer) for target in snapshot.targets for peer in target.peers]
    return {
        "schema": "steadycast/1",
        "error": error,
        "verdict": error or verdict(snapshot),
        "versions": versions(),
        "configuration": dict(configuration),
        "duration_s": round(snapshot.time_s, 3),
        "streams": [_stream(target, stream) for target in snapshot.targets for stream in target.statistics.streams],
        "sources": [
            {
                "media": each.media,
                "units": each.units,
                "dropped": each.dropped,
                "skipped": each.skipped,
                "error": each.error,
            }
            for each in snapshot.sources
        ],
        "targets": [
            {"name": each.name, "refused": each.refused, "reached": each.reached, "peers": each.statistics.peers}
            for each in snapshot.targets
        ],
        "socket": {
            "datagrams": sum(each.statistics.datagrams_received for each in snapshot.targets),
            "unparsed": _sum(each.statistics.unparsed for each in snapshot.targets),
            "kernel_drops": None,
            "send_errors": dict(snapshot.send_errors),
        },
        "intervals": [],
        "events": [{"time_s": round(each.time_s, 3), "kind": each.kind, "why": each.why} for each in snapshot.events],
        "peer": peers[0] if len(peers) == 1 else None,
        "peers": peers if len(peers) > 1 else [],
    }


def verdict(snapshot: Snapshot) -> str:
    """The run in one or two plain sentences."""
    streams = [stream for target in snapshot.targets for stream in target.statistics.streams]
    packets = sum(stream.packets for stream in streams)
    if not packets:
        return "Nothing was sent."
    to = ", ".join(target.name for target in snapshot.targets)
    text = f"Sent {packets} packets in {snapshot.time_s:.1f} s to {to}"
    unsent = sum(stream.not_handed_over for stream in streams)
    text += f"; this machine did not send {unsent} more." if unsent else "."
    told = _told(snapshot)
    if told:
        return " ".join([*told, text])
    heard = [stream.reception for stream in streams if stream.reception is not None]
    if not heard:
        return text + " No receiver has reported."
    lost = sum(each.cumulative_lost for each in heard)
    return f"{text} Receivers report {lost} of them lost." if lost > 0 else f"{text} Receivers report no loss."


def _told(snapshot: Snapshot) -> list[str]:
    """What receivers said, each with its place when there are several."""
    told = [(target.name, peer_report.verdict(peer)) for target in snapshot.targets for peer in target.peers]
    if len(told) == 1:
        return [words for _, words in told if words]
    return [f"At {name}: {words}" for name, words in told if words]


def _stream(target: TargetSnapshot, stream: StreamStatistics) -> dict[str, object]:
    sent = 0 if stream.first is None or stream.last is None else stream.last - stream.first + 1
    return {
        "ssrc": stream.ssrc,
        "media": stream.media,
        "encoding": stream.encoding,
        "payload_type": stream.payload_type,
        "epoch": 0,
        "target": target.name,
        "first_sequence": stream.first,
        "last_sequence": stream.last,
        "octets": stream.octets,
        "ledger": {"sent": sent, "sent_known": True, "lost_sender": stream.not_handed_over, **dict.fromkeys(_LEDGER)},
        "ratios": {name: {"value": None, "numerator": None, "denominator": sent} for name in _RATIOS},
        "jitter_ms": None if stream.reception is None else round(stream.reception.jitter_ms, 3),
        "rtt_ms": None if stream.rtt_ms is None else round(stream.rtt_ms, 3),
        "reception": _reception(stream.reception),
        "extended": [_extended(told) for told in stream.extended],
        "repair": None if stream.repair is None else _repair(stream.repair, stream.ahead),
        "frames": {
            "sent": stream.units,
            "key_frames": stream.key_frames,
            "key_frame_requests": stream.key_frame_requests,
            "unsendable": dict(stream.unsendable),
        },
    }


def _reception(reception: Reception | None) -> dict[str, object] | None:
    """The newest report block, RFC 3550 §6.4.1."""
    if reception is None:
        return None
    return {
        "reporter": reception.reporter,
        "fraction_lost": round(reception.fraction_lost, 4),
        "cumulative_lost": reception.cumulative_lost,
        "extended_highest_sequence": reception.extended_highest_sequence,
    }


def _repair(repair: RepairStatistics, ahead: tuple[int, int] | None) -> dict[str, object]:
    return {
        "ssrc": repair.ssrc,
        "requested": repair.requested,
        "packets": repair.packets,
        "octets": repair.octets,
        "refused": dict(repair.refused),
        "fec": None if ahead is None else dict(zip(("packets", "octets"), ahead, strict=True)),
    }


def _extended(told: Extended) -> dict[str, object]:
    """The newest extended reports of one receiver, RFC 3611; what it has not said is null."""
    return {
        "reporter": told.reporter,
        "losses": None if told.losses is None else _losses(told.losses),
        "summary": None if told.summary is None else _summary(told.summary),
        "voip": None if told.voip is None else _voip(told.voip),
    }


def _losses(told: RunLengths) -> dict[str, object]:
    """§4.1: of the numbers from `begin` to below `end` (16 bits)."""
    received = trace.bits(told.chunks, (told.end - told.begin) & 0xFFFF)
    return {"begin": told.begin, "end": told.end, "lost": len(received) - int(received.sum())}


def _summary(told: StatisticsSummary) -> dict[str, object]:
    """§4.6."""
    return {"begin": told.begin, "end": told.end, "lost": told.lost, "duplicates": told.duplicates}


def _voip(told: VoipMetrics) -> dict[str, object]:
    """§4.7; what is not available there is null."""
    r, mos = (None if value == UNAVAILABLE else value for value in (told.r_factor, told.mos_cq))
    return {
        "loss_rate": told.loss_rate / 256,
        "discard_rate": told.discard_rate / 256,
        "burst_density": told.burst_density / 256,
        "gap_density": told.gap_density / 256,
        "burst_duration_ms": told.burst_duration,
        "gap_duration_ms": told.gap_duration,
        "gmin": told.gmin,
        "round_trip_ms": told.round_trip_delay or None,
        "end_system_delay_ms": told.end_system_delay or None,
        "r": r,
        "mos": None if mos is None else mos / 10,
    }


def _sum(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return dict(total)
