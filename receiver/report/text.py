"""The report a person reads at the end: the JSON object's verdict, then its numbers, a block for each stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from receiver.report.snapshot import Ratio


def final_text(report: Mapping[str, Any]) -> str:
    """Of the object that `document.document` makes."""
    lines = [report["verdict"]]
    for stream in report["streams"]:
        lines += _block(stream)
    socket = report["socket"] or {}
    if socket.get("unparsed"):
        lines.append("not understood: " + _counts(socket["unparsed"]))
    if socket.get("queue_drops"):
        lines.append("thrown away because a queue was full: " + _counts(socket["queue_drops"]))
    if report.get("not_measured"):
        lines += ["not measured:", *(f"  {what}" for what in report["not_measured"])]
    return "\n".join(lines)


def _block(stream: Mapping[str, Any]) -> list[str]:
    restart = f", restart {stream['epoch']}" if stream["epoch"] else ""
    cname = f", {stream['cname']}" if stream["cname"] else ""
    rows = {
        "packets": _packets(stream["ledger"]),
        "shares": _shares(stream["ratios"]),
        "loss runs": ", ".join(f"{count} of {length}" for length, count in stream["loss_runs"].items()),
        "network": _network(stream),
        "buffer": f"{_ms(stream['buffer']['delay_mean_ms'])} on average, target {_ms(stream['buffer']['target_ms'])}",
        "frames": _frames(stream["frames"], stream["freezes"]),
        "sound": _sound(stream["concealment"]),
        "lip-sync": _skew(stream["av_skew_ms"]),
    }
    title = f"{stream['media']} {stream['encoding']}, SSRC {stream['ssrc']:#010x}{restart}{cname}"
    return [title, *(f"  {name:<11}{text}" for name, text in rows.items() if text)]


def _packets(ledger: Mapping[str, Any]) -> str:
    return (
        f"{_known(ledger['sent'])} sent, {ledger['arrived']} arrived, {_known(ledger['lost'])} lost,"
        f" {ledger['late']} late, {ledger['reordered']} reordered, {ledger['duplicates']} duplicates"
    )


def _shares(ratios: Mapping[str, Any]) -> str:
    known = {name: Ratio(ratio["numerator"], ratio["denominator"]) for name, ratio in ratios.items()}
    return ", ".join(f"{name.replace('_', ' ')} {ratio}" for name, ratio in known.items())


def _network(stream: Mapping[str, Any]) -> str:
    return f"jitter {_ms(stream['jitter_ms'])}, round trip {_ms(stream['rtt_ms'])}"


def _frames(frames: Mapping[str, Any] | None, freezes: Mapping[str, Any] | None) -> str:
    if frames is None or freezes is None:
        return ""
    return (
        f"{frames['received']} received, {frames['decoded']} decoded, {frames['rendered']} shown;"
        f" dropped: {frames['dropped_network']} network, {frames['dropped_late']} late,"
        f" {frames['dropped_decode']} decoder, {frames['dropped_display']} display;"
        f" {freezes['count']} freezes, {freezes['seconds']:.1f} s"
    )


def _sound(audio: Mapping[str, Any] | None) -> str:
    if audio is None:
        return ""
    return (
        f"{audio['total_samples_received']} samples, {audio['concealed_samples']} concealed in"
        f" {audio['concealment_events']} events, {audio['inserted_samples_for_deceleration']} inserted,"
        f" {audio['removed_samples_for_acceleration']} removed, {audio['underruns']} underruns"
    )


def _skew(skew: Mapping[str, Any] | None) -> str:
    return "" if skew is None else f"{_ms(skew['p50'])} median, {_ms(skew['p95'])} at the 95th percentile"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in sorted(counts.items()))


def _known(value: int | None) -> str:
    return "unknown" if value is None else str(value)


def _ms(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.1f} ms"
