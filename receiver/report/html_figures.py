"""The figures of one stream in words, each a row of name and value; what has no value has no row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Stream = Mapping[str, Any]
Figures = Mapping[str, Any] | None

_LEDGER = (
    "sent", "arrived", "lost", "lost_network", "lost_local", "lost_sender", "in_time", "recovered_rtx",
    "recovered_fec", "missed", "late", "arrived_after_recovery", "duplicates", "reordered", "corrupted",
    "before_join", "after_close",
)  # fmt: skip
_ALWAYS = ("sent", "arrived", "lost", "in_time", "missed", "late", "duplicates", "reordered")
"""of the ledger, also when it is 0."""


def ledger(stream: Stream) -> list[list[str]]:
    """The fate of its packets."""
    counts = stream.get("ledger") or {}
    shown = [name for name in _LEDGER if counts.get(name) or (name in _ALWAYS and name in counts)]
    return [[name.replace("_", " "), "unknown" if counts[name] is None else str(counts[name])] for name in shown]


def rows_of(stream: Stream) -> list[list[str]]:
    """Everything else that is measured of it."""
    figures = {
        "bit-rate": _rate(stream.get("bitrate_bps")),
        "jitter (RFC 3550)": _ms(stream.get("jitter_ms")),
        "delay variation (RFC 5481)": _percentiles(stream.get("delay_variation_ms")),
        "round trip": _ms(stream.get("rtt_ms")),
        "one-way delay": _one_way(stream),
        "clock skew": _unit(stream.get("clock_skew_ppm"), "ppm"),
        "buffer": _buffer(stream.get("buffer")),
        "playout delay": _percentiles(stream.get("playout_delay_ms")),
        "lip-sync error": _percentiles(stream.get("av_skew_ms")),
        "bursts (RFC 3611)": _bursts(stream.get("bursts")),
        "Gilbert–Elliott": _gilbert_elliott(stream),
        "reordering": _reordering(stream.get("reordering")),
        "frames": _counts(stream.get("frames")),
        "freezes": _freezes(stream.get("freezes")),
        "sound": _sound(stream.get("concealment")),
        "E-model (estimate)": _e_model(stream.get("e_model")),
        "traffic": _traffic(stream.get("traffic")),
        "not usable": _counts(stream.get("unusable")),
    }
    return [[name, text] for name, text in figures.items() if text]


def _unit(value: float | None, unit: str, digits: int = 1) -> str:
    return "" if value is None else f"{value:.{digits}f} {unit}"


def _ms(value: float | None) -> str:
    return _unit(value, "ms")


def _rate(value: float | None) -> str:
    return "" if value is None else f"{value / 1e6:.2f} Mbit/s" if value >= 1e6 else f"{value / 1e3:.0f} kbit/s"


def _percentiles(values: Figures) -> str:
    known = [(name, value) for name, value in (values or {}).items() if value is not None]
    return ", ".join(f"{name.replace('_', '.')} {_ms(value)}" for name, value in known)


def _one_way(stream: Stream) -> str:
    value, error = stream.get("one_way_delay_ms"), stream.get("one_way_delay_error_ms")
    return _ms(value) if value is None or error is None else f"{_ms(value)} ± {_ms(error)}"


def _buffer(buffer: Figures) -> str:
    if not buffer or buffer.get("delay_mean_ms") is None:
        return ""
    target = _ms(buffer.get("target_ms"))
    return f"{_ms(buffer['delay_mean_ms'])} on average{f', target {target}' if target else ''}"


def _bursts(bursts: Figures) -> str:
    if not bursts:
        return ""
    count = f"{bursts.get('count')}, ended by {bursts.get('gmin')} packets in a row"
    dense = [f"{name} {_inside(bursts, name)}" for name in ("burst", "gap") if _inside(bursts, name)]
    return "; ".join([count, *dense])


def _inside(bursts: Mapping[str, Any], name: str) -> str:
    density, duration = bursts.get(f"{name}_density"), bursts.get(f"{name}_duration_ms")
    return "" if density is None else f"{100 * density:.2f} % lost or late{f', {duration:.0f} ms' if duration else ''}"


def _gilbert_elliott(stream: Stream) -> str:
    if "gilbert_elliott" not in stream:
        return ""
    fit = stream["gilbert_elliott"]
    if fit is None:
        return "not enough losses"
    return ", ".join(
        f"{name.replace('_', ' ')} {part['value']:.3g} ({part['low']:.3g} to {part['high']:.3g})"
        for name, part in fit.items()
    )


def _reordering(reordering: Figures) -> str:
    if not reordering or not reordering.get("extent"):
        return ""
    furthest = max(int(extent) for extent in reordering["extent"])
    late = _percentiles(reordering.get("late_ms"))
    return f"by up to {furthest} packets{f'; late by {late}' if late else ''}"


def _counts(counts: Figures) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in (counts or {}).items() if value)


def _freezes(freezes: Figures) -> str:
    return "" if not freezes else f"{freezes['count']}, {freezes['seconds']:.1f} s in all"


def _sound(sound: Figures) -> str:
    if not sound or not sound.get("total_samples_received"):
        return ""
    made_up, total = sound.get("concealed_samples") or 0, sound["total_samples_received"]
    return f"{100 * made_up / total:.2f} % of the samples made up ({made_up}/{total})"


def _e_model(estimate: Figures) -> str:
    if not estimate:
        return ""
    delay, loss = estimate.get("delay_ms"), estimate.get("loss")
    given = f", at {delay:.0f} ms and {100 * loss:.2f} % missed" if delay is not None and loss is not None else ""
    return f"R {estimate['r']:.0f}, MOS {estimate['mos']:.2f}{given}"


def _traffic(traffic: Figures) -> str:
    return ", ".join(f"{name} {octets / 1e6:.2f} MB" for name, octets in (traffic or {}).items())
