"""Two reports side by side: what got better or worse, by how much, and whether chance alone could have done it.

Pure functions of the JSON object (docs/report.md); what a report does not have is null.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from protocol.errors import UsageError
from receiver.compare.difference import Difference, Measured, compare, gilbert_elliott_effect, holm, series
from receiver.report.timeline import Timeline

SCHEMA = "steadycast-compare/1"
SURE = 0.05
"""adjusted p-value up to which a difference is called one."""

Report = Mapping[str, Any]
Kind = Literal["runs", "directions", "same_packets"]
Outcome = Literal["better", "worse", "changed", "same", "untested", "unknown"]

_SHARES: Mapping[str, tuple[str, ...]] = {
    "network_loss": ("lost_network",),
    "local_drop": ("lost_local",),
    "late": ("late",),
    "recovered": ("recovered_rtx", "recovered_fec"),
    "effective_loss": ("missed",),
}
"""ratio → what of the ledger it counts."""
_SERIES = {"jitter_ms": "ms", "rtt_ms": "ms", "bitrate_bps": "bit/s"}
_NEUTRAL = frozenset({"recovered", "bitrate_bps"})
"""neither more nor less of it is better."""
_MORE_IS_BETTER = frozenset({"mos"})


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of both runs."""

    name: str
    unit: str
    """ratio, ms, bit/s, packets, or nothing."""
    a: float | None
    b: float | None
    counts_a: tuple[int, int] | None = None
    """(numerator, denominator) of a ratio."""
    counts_b: tuple[int, int] | None = None
    difference: Difference | None = None
    """None: not tested."""
    adjusted: float | None = None
    """p-value, adjusted for the number of figures tested."""
    outcome: Outcome = "unknown"


@dataclass(frozen=True, slots=True)
class Pair:
    """A stream of each run."""

    media: str
    encoding: str
    a: Mapping[str, Any]
    b: Mapping[str, Any]
    figures: tuple[Figure, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    kind: Kind
    pairs: tuple[Pair, ...]
    only_a: tuple[str, ...]
    """streams that the other run has no counterpart of."""
    only_b: tuple[str, ...]


def compared(a: Report, b: Report, *, both_directions: bool = False) -> Comparison:
    """Raises UsageError, one line, for reports that cannot be compared."""
    kind = _kind(a, b, both_directions)
    first, second = measured_by_receiver(a, "A"), measured_by_receiver(b, "B")
    matched, only_a, only_b = _matched(_streams(first), _streams(second))
    if not matched:
        raise UsageError("the two reports have no stream of the same kind: nothing can be compared")
    pairs = [
        Pair(
            str(x["media"]), str(x["encoding"]), x, y,
            tuple(_figures(x, first.get("intervals") or (), y, second.get("intervals") or (), kind)),
        )
        for x, y in matched
    ]  # fmt: skip
    return Comparison(kind, tuple(_judged(pairs, kind)), tuple(map(_name, only_a)), tuple(map(_name, only_b)))


def is_senders(report: Report) -> bool:
    """Whether the sending end wrote it."""
    return report.get("targets") is not None


def measured_by_receiver(report: Report, name: str) -> Report:
    """The receiver's figures: the report itself, or those that came back to the sender. Raises UsageError."""
    if not is_senders(report):
        found: Report = report
    else:
        found = report.get("peer") or next(iter(report.get("peers") or ()), {})
        if not found:
            raise UsageError(
                f"{name} is a sender's report without its receiver's, which alone knows what arrived: give that one"
            )
    if not found.get("streams"):
        raise UsageError(f"{name} has no streams: nothing was received in that run")
    return found


def _kind(a: Report, b: Report, both_directions: bool) -> Kind:
    shared = {s["ssrc"] for s in a["streams"]} & {s["ssrc"] for s in b["streams"]}
    if shared and is_senders(a) != is_senders(b):
        raise UsageError("A and B are the two ends of one run: to compare, give the reports of two runs")
    if both_directions or is_senders(a) != is_senders(b):
        return "directions"
    return "same_packets" if shared else "runs"


# Which stream belongs to which


def _streams(report: Report) -> list[Mapping[str, Any]]:
    """The longest first."""
    return sorted(report["streams"], key=lambda stream: -(_numbers(stream) or 0))


def _matched(
    first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]]
) -> tuple[list[tuple[Mapping[str, Any], Mapping[str, Any]]], list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Pairs by media and encoding, then by media alone; and what is left over."""
    pairs: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = []
    only_a, only_b = list(first), list(second)
    for key in (("ssrc", "epoch"), ("media", "encoding"), ("media",)):
        for x in list(only_a):
            y = next((y for y in only_b if all(x.get(name) == y.get(name) for name in key)), None)
            if y is not None:
                pairs.append((x, y))
                only_a.remove(x)
                only_b.remove(y)
    return pairs, only_a, only_b


def _name(stream: Mapping[str, Any]) -> str:
    return f"{stream.get('media')} {stream.get('ssrc') or 0:#010x}"


# Figures


def _figures(
    a: Mapping[str, Any], rows_a: Sequence[Report], b: Mapping[str, Any], rows_b: Sequence[Report], kind: Kind
) -> Iterator[Figure]:
    one, other = Timeline(rows_a, a), Timeline(rows_b, b)
    for name in _SHARES:
        yield _share_figure(name, _share(name, a, rows_a), _share(name, b, rows_b), kind)
    for name, unit in _SERIES.items():
        yield _series_figure(name, unit, [one.figure(name), other.figure(name)], (a.get(name), b.get(name)), kind)
    buffers = [one.buffer_delay(), other.buffer_delay()]
    totals = tuple((stream.get("buffer") or {}).get("delay_mean_ms") for stream in (a, b))
    yield _series_figure("buffer_delay_ms", "ms", buffers, totals, kind)
    for name, unit, read in _SINGLE:
        yield Figure(name, unit, read(a), read(b))


def _share_figure(name: str, a: Measured | None, b: Measured | None, kind: Kind) -> Figure:
    values = [None if side is None else side.value for side in (a, b)]
    counts = [None if side is None else (int(side.hits), int(side.count)) for side in (a, b)]
    return Figure(name, "ratio", values[0], values[1], counts[0], counts[1], _tested(a, b, kind))


def _series_figure(
    name: str, unit: str, points: Sequence[Sequence[tuple[float, float | None]]], totals: Sequence[Any], kind: Kind
) -> Figure:
    """The means over the intervals; where there are none, the figure of the whole run, untested."""
    a, b = (series([value for _, value in line]) for line in points)
    if a is None or b is None:
        return Figure(name, unit, *totals)
    enough = a.count > 1 and b.count > 1
    return Figure(name, unit, a.value, b.value, difference=_tested(a, b, kind) if enough else None)


def _tested(a: Measured | None, b: Measured | None, kind: Kind) -> Difference | None:
    """The same packets played twice differ by what was done to them: there is no chance in it. Nor in nothing."""
    if a is None or b is None or kind == "same_packets" or a.hits == b.hits == 0:
        return None
    return compare(a, b)


def _share(name: str, stream: Mapping[str, Any], rows: Sequence[Report]) -> Measured | None:
    ratio = (stream.get("ratios") or {}).get(name) or {}
    hits, count = ratio.get("numerator"), ratio.get("denominator")
    if hits is None or not count:
        return None
    lost, late = _runs(stream.get("loss_runs")), _runs(stream.get("late_runs"))
    runs = {"late": late, "network_loss": lost, "local_drop": lost, "effective_loss": {**lost, **late}}.get(name)
    effect = 1.0 if name in ("late", "recovered") else _effect(stream.get("gilbert_elliott"))
    return Measured(hits, count, _parts(_SHARES[name], stream, rows), runs, effect)


def _effect(model: Mapping[str, Any] | None) -> float:
    """Of the fitted Gilbert–Elliott model."""
    names = ("p", "r", "loss_in_bad", "loss_in_good")
    values = [((model or {}).get(name) or {}).get("value") for name in names]
    known = [float(value) for value in values if value is not None]
    return gilbert_elliott_effect(*known) if len(known) == len(names) else 1.0


def _runs(found: Mapping[str, int] | None) -> dict[int, int]:
    return {int(length): count for length, count in (found or {}).items()}


def _parts(names: Sequence[str], stream: Mapping[str, Any], rows: Sequence[Report]) -> Any:
    """(hits, count) of each interval. Rows count since the start in older reports, and what is their own in others:
    those add up to no more than the whole."""
    key = stream.get("ssrc"), stream.get("epoch")
    ledgers = [
        row.get("ledger") or {}
        for interval in rows
        for row in interval.get("streams") or ()
        if (row.get("ssrc"), row.get("epoch")) == key
    ]
    if not ledgers:
        return None
    counts = np.array([_numbers({"ledger": ledger}) or 0 for ledger in ledgers], np.float64)
    hits = np.array([sum(ledger.get(name) or 0 for name in names) for ledger in ledgers], np.float64)
    if counts.sum() > 1.001 * (_numbers(stream) or 0):
        counts, hits = np.diff(counts, prepend=0), np.diff(hits, prepend=0)
    return np.maximum(hits, 0), np.maximum(counts, 0)


def _numbers(stream: Mapping[str, Any]) -> int | None:
    ledger = stream.get("ledger") or {}
    if ledger.get("arrived") is None or ledger.get("lost") is None:
        return None
    return int(ledger["arrived"]) + int(ledger["lost"])


def _member(*path: str) -> Any:
    def read(stream: Mapping[str, Any]) -> float | None:
        found: Any = stream
        for name in path:
            found = (found or {}).get(name)
        return found if isinstance(found, int | float) else None

    return read


def _longest_run(stream: Mapping[str, Any]) -> float | None:
    runs = stream.get("loss_runs")
    return None if runs is None else float(max(map(int, runs), default=0))


def _concealed(stream: Mapping[str, Any]) -> float | None:
    found = stream.get("concealment") or {}
    concealed, total = found.get("concealed_samples"), found.get("total_samples_received")
    return concealed / total if concealed is not None and total else None


_SINGLE: tuple[tuple[str, str, Any], ...] = (
    ("longest_loss_run", "packets", _longest_run),
    ("delay_variation_p95_ms", "ms", _member("delay_variation_ms", "p95")),
    ("delay_variation_p99_ms", "ms", _member("delay_variation_ms", "p99")),
    ("one_way_delay_ms", "ms", _member("one_way_delay_ms")),
    ("playout_delay_ms", "ms", _member("playout_delay_ms", "mean")),
    ("freezes", "", _member("freezes", "count")),
    ("frozen_s", "s", _member("freezes", "seconds")),
    ("concealed", "ratio", _concealed),
    ("mos", "", _member("e_model", "mos")),
)
"""figures of which a run has one: they are shown, and nothing is said about chance."""


# Outcomes


def _judged(pairs: Sequence[Pair], kind: Kind) -> Iterator[Pair]:
    tested = [f.difference.p_value for pair in pairs for f in pair.figures if f.difference is not None]
    adjusted = iter(holm(tested))
    for pair in pairs:
        figures = []
        for figure in pair.figures:
            p = None if figure.difference is None else next(adjusted)
            figures.append(replace(figure, adjusted=p, outcome=_outcome(figure, p, kind)))
        yield replace(pair, figures=tuple(figures))


def _outcome(figure: Figure, p: float | None, kind: Kind) -> Outcome:
    if figure.a is None or figure.b is None:
        return "unknown"
    if figure.a == figure.b:
        return "same"
    if p is None and kind != "same_packets":
        return "untested"
    if p is not None and p > SURE:
        return "same"
    if figure.name in _NEUTRAL:
        return "changed"
    return "better" if (figure.b < figure.a) != (figure.name in _MORE_IS_BETTER) else "worse"


# JSON


def as_json(comparison: Comparison, verdict: str, names: tuple[str, str]) -> dict[str, object]:
    """What `compare --json` prints."""
    return {
        "schema": SCHEMA,
        "error": None,
        "verdict": verdict,
        "kind": comparison.kind,
        "a": names[0],
        "b": names[1],
        "streams": [
            {
                "media": pair.media,
                "encoding": pair.encoding,
                "a": {"ssrc": pair.a.get("ssrc"), "epoch": pair.a.get("epoch")},
                "b": {"ssrc": pair.b.get("ssrc"), "epoch": pair.b.get("epoch")},
                "figures": [_figure_json(figure) for figure in pair.figures],
            }
            for pair in comparison.pairs
        ],
        "only_a": list(comparison.only_a),
        "only_b": list(comparison.only_b),
    }


def _figure_json(figure: Figure) -> dict[str, object]:
    difference = figure.difference
    known = figure.a is not None and figure.b is not None
    return {
        "name": figure.name,
        "unit": figure.unit,
        "a": _side(figure.a, figure.counts_a),
        "b": _side(figure.b, figure.counts_b),
        "difference": figure.b - figure.a if known else None,  # type: ignore[operator]
        "times": figure.b / figure.a if known and figure.a else None,  # type: ignore[operator]
        "low": difference and difference.low,
        "high": difference and difference.high,
        "p_value": difference and difference.p_value,
        "adjusted_p_value": figure.adjusted,
        "method": difference and difference.method,
        "outcome": figure.outcome,
    }


def _side(value: float | None, counts: tuple[int, int] | None) -> dict[str, object]:
    numerator, denominator = counts or (None, None)
    return {"value": value, "numerator": numerator, "denominator": denominator}
