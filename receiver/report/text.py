"""The report a person reads at the end: the JSON object's verdict, then its numbers, a block for each stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from receiver.account.needed_buffer import buffer_for
from receiver.report.snapshot import Ratio

_OCTETS = {"rtcp": "RTCP"}


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
        "loss runs": _runs(stream.get("loss_runs")),
        "late runs": _runs(stream.get("late_runs")),
        "bursts": _bursts(stream.get("bursts")),
        "loss model": _model(stream.get("gilbert_elliott")),
        "reordering": _reordering(stream.get("reordering")),
        "network": _network(stream),
        "delay": _delay(stream),
        "clocks": _clocks(stream),
        "buffer": f"{_ms(stream['buffer']['delay_mean_ms'])} on average, target {_ms(stream['buffer']['target_ms'])}",
        "needed": _needed(stream.get("needed_buffer")),
        "frames": _frames(stream["frames"], stream["freezes"]),
        "sound": _sound(stream["concealment"]),
        "lip-sync": _skew(stream["av_skew_ms"]),
        "estimate": _estimate(stream.get("e_model")),
        "traffic": _traffic(stream.get("traffic")),
        "repair": _repair(stream.get("repair")),
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
    one_way, error = stream.get("one_way_delay_ms"), stream.get("one_way_delay_error_ms")
    told = f"jitter {_ms(stream['jitter_ms'])}, round trip {_ms(stream['rtt_ms'])}"
    return told if one_way is None or error is None else f"{told}, one way {one_way:.1f} ± {error:.1f} ms"


def _runs(runs: Mapping[str, int] | None) -> str:
    return ", ".join(f"{count} of {length}" for length, count in (runs or {}).items())


def _bursts(bursts: Mapping[str, Any] | None) -> str:
    """RFC 3611 §4.7.2."""
    if not bursts or not bursts["count"]:
        return ""
    within, between = bursts["burst_density"], bursts["gap_density"]
    gaps = "" if between is None else f", {100 * between:.2f} % between them"
    length = f" of {bursts['burst_duration_ms']:.0f} ms" if bursts["burst_duration_ms"] is not None else ""
    return f"{bursts['count']}{length} on average, {100 * within:.1f} % lost or late in them{gaps}"


def _model(model: Mapping[str, Any] | None) -> str:
    """Gilbert-Elliott."""
    if not model:
        return ""
    names = {"p": "good to bad", "r": "bad to good", "loss_in_bad": "loss in bad", "loss_in_good": "loss in good"}
    found = ((words, *(100 * model[name][part] for part in ("value", "low", "high"))) for name, words in names.items())
    return ", ".join(f"{words} {value:.3g} % ({low:.3g} to {high:.3g})" for words, value, low, high in found)


def _reordering(reordering: Mapping[str, Any] | None) -> str:
    if not reordering or not reordering["extent"]:
        return ""
    furthest, late = max(int(extent) for extent in reordering["extent"]), reordering["late_ms"]
    waits = "" if late is None else f"; {_ms(late['p95'])} of buffer would have put 95 % of them in order"
    return f"by up to {furthest} packets{waits}"


def _delay(stream: Mapping[str, Any]) -> str:
    values = stream.get("delay_variation_ms")
    if not values:
        return ""
    shares = {"p50": "50", "p95": "95", "p99": "99", "p99_9": "99.9"}
    known = [f"{share} % {values[name]:.1f} ms" for name, share in shares.items() if values.get(name) is not None]
    return f"above the least: {', '.join(known)}" if known else ""


def _clocks(stream: Mapping[str, Any]) -> str:
    skew = stream.get("clock_skew_ppm")
    return "" if skew is None else f"the sender's runs {abs(skew):.1f} ppm {'slower' if skew > 0 else 'faster'}"


def _needed(curve: Sequence[Sequence[float]] | None) -> str:
    """Of the curve of share late against fixed buffer."""
    shares = {"1 %": 0.01, "0.1 %": 0.001, "none": 0.0}
    points = [(ms, late) for ms, late in curve or ()]
    found = {name: buffer_for(tuple(points), share) for name, share in shares.items()}
    return ", ".join(f"{ms:.1f} ms for {name} late" for name, ms in found.items() if ms is not None)


def _estimate(model: Mapping[str, Any] | None) -> str:
    """ITU-T G.107."""
    if not model:
        return ""
    return (
        f"R {model['r']:.0f}, MOS {model['mos']:.1f} (E-model: {_ms(model['delay_ms'])},"
        f" {100 * model['loss']:.2f} % missed, burst ratio {model['burst_ratio']:.1f})"
    )


def _traffic(traffic: Mapping[str, Any] | None) -> str:
    known = {name: octets for name, octets in (traffic or {}).items() if octets}
    return ", ".join(f"{octets} octets of {_OCTETS.get(name, name)}" for name, octets in known.items())


def _repair(repair: Mapping[str, Any] | None) -> str:
    """What came again of what was asked for; the sender's report has it from the other side."""
    if repair is None:
        return ""
    parts = []
    if repair["requested"] and "repaired" in repair:
        parts.append(
            f"{repair['requested']} packets asked for again, {repair['repaired']} repaired, {repair['late']} too late,"
            f" {repair['useless']} came by themselves; {repair['not_requested']} could not have come in time"
        )
    elif repair["requested"]:
        parts.append(f"{repair['packets']} packets sent again, {repair['requested']} times asked for one")
    if fec := repair.get("fec"):
        rebuilt = f", {fec['rebuilt']} packets rebuilt" if "rebuilt" in fec else ""
        parts += [f"{fec['packets']} repair packets{rebuilt}"] if fec["packets"] else []
    if red := repair.get("red"):
        parts.append(f"{red['copies']} packets of sound repeated in time or late")
    return "; ".join(parts)


def _frames(frames: Mapping[str, Any] | None, freezes: Mapping[str, Any] | None) -> str:
    if frames is None or freezes is None:
        return ""
    return (
        f"{frames['received']} received, {frames['decoded']} decoded, {frames['rendered']} shown;"
        f" dropped: {frames['dropped_network']} network, {frames['dropped_late']} late,"
        f" {frames['dropped_decode']} decoder, {frames['dropped_display']} display;{_damage(frames)}"
        f" {freezes['count']} freezes, {freezes['seconds']:.1f} s"
    )


def _damage(frames: Mapping[str, Any]) -> str:
    """Nothing where nothing was."""
    damaged, held, clean = frames.get("damaged"), frames.get("held"), (frames.get("recovery_ms") or {}).get("p50")
    if not damaged and not held:
        return ""
    again = "" if clean is None else f", clean again after {clean:.0f} ms (median)"
    return f" {damaged or 0} damaged, {held or 0} held back{again};"


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
