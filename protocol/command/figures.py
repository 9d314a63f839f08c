"""The figures of a report by name, with their units: what --fail-if may speak of. docs/report.md explains them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

Unit = Literal["share", "ms", "s", "bit/s", "ppm", ""]
Report = Mapping[str, object]

SHARES = ("network_loss", "local_drop", "late", "recovered", "effective_loss")
LEDGER = (
    "sent", "span", "arrived", "lost", "lost_network", "lost_local", "lost_sender", "in_time", "recovered_rtx",
    "recovered_fec", "missed", "undecided", "late", "arrived_after_recovery", "duplicates",
    "duplicates_unverified", "after_close", "before_join", "replicated", "reordered", "corrupted", "closed",
    "closed_lost", "closed_late",
)  # fmt: skip
_FRAMES = (
    "received", "decoded", "rendered", "dropped_network", "dropped_late", "dropped_decode", "dropped_display",
    "damaged", "held", "width", "height", "sent", "key_frames", "key_frame_requests",
)  # fmt: skip
_REPAIR = ("nacks", "requested", "repaired", "late", "useless", "not_requested", "packets", "octets")
_CONCEALMENT = (
    "total_samples_received", "concealed_samples", "silent_concealed_samples", "concealment_events",
    "inserted_samples_for_deceleration", "removed_samples_for_acceleration", "underruns", "fec_recovered_samples",
    "rate", "channels",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Figure:
    """Where a number stands in the report."""

    name: str
    path: tuple[str, ...]
    unit: Unit = ""
    media: str | None = None
    """only streams of this medium have it; None: each has."""
    place: Literal["streams", "sources", "socket", "run"] = "streams"
    counts: bool = False
    """`path` is a table of counts by name, in which what is not there is 0."""


@dataclass(frozen=True, slots=True)
class Value:
    """A figure as a report has it."""

    of: str
    """the stream, for a reader; empty where there is one such figure."""
    number: float | None
    """None: not known."""
    text: str


def _under(name: str, members: tuple[str, ...], unit: Unit = "", media: str | None = None) -> Iterator[Figure]:
    for member in members:
        yield Figure(f"{name}.{member}", (name, member), unit, media)


def _single(unit: Unit, *names: str) -> Iterator[Figure]:
    for name in names:
        yield Figure(name, (name,), unit)


def _stream_figures() -> Iterator[Figure]:
    for name in SHARES:
        yield Figure(name, ("ratios", name, "value"), "share")
    yield from _under("ledger", LEDGER)
    yield from _single("", "packets_received", "octets")
    yield from _single("bit/s", "bitrate_bps")
    yield from _single("ms", "jitter_ms", "rtt_ms", "one_way_delay_ms", "one_way_delay_error_ms")
    yield from _single("ppm", "clock_skew_ppm")
    yield from _under("delay_variation_ms", ("p50", "p95", "p99", "p99_9"), "ms")
    yield from _under("playout_delay_ms", ("mean", "p50", "p95"), "ms")
    yield from _under("av_skew_ms", ("p50", "p95"), "ms")
    yield from _under("buffer", ("delay_mean_ms", "target_ms"), "ms")
    yield from _under("buffer", ("emitted",))
    yield from _under("frames", _FRAMES, media="video")
    for name in ("p50", "p95"):
        yield Figure(f"frames.recovery_ms.{name}", ("frames", "recovery_ms", name), "ms", media="video")
    yield from _under("freezes", ("count",), media="video")
    yield from _under("freezes", ("seconds",), "s", media="video")
    yield from _under("concealment", _CONCEALMENT, media="audio")
    yield from _under("concealment", ("device_latency_s",), "s", media="audio")
    yield from _under("bursts", ("gmin", "count"))
    yield from _under("bursts", ("burst_density", "gap_density"), "share")
    yield from _under("bursts", ("burst_duration_ms", "gap_duration_ms"), "ms")
    for name in ("p", "r", "loss_in_bad", "loss_in_good"):
        yield Figure(f"gilbert_elliott.{name}", ("gilbert_elliott", name, "value"), "share")
    for name in ("p50", "p95", "p99"):
        yield Figure(f"reordering.late_ms.{name}", ("reordering", "late_ms", name), "ms")
    yield from _under("e_model", ("r", "mos", "burst_ratio", "ie", "bpl"), media="audio")
    yield from _under("e_model", ("delay_ms",), "ms", media="audio")
    yield from _under("e_model", ("loss",), "share", media="audio")
    yield from _under("traffic", ("media", "repair", "headers", "rtcp"))
    yield from _under("repair", _REPAIR)
    for name in ("packets", "octets", "rebuilt", "unneeded", "unsolved"):
        yield Figure(f"repair.fec.{name}", ("repair", "fec", name))
    for name in ("copies", "unneeded"):
        yield Figure(f"repair.red.{name}", ("repair", "red", name), media="audio")
    yield from _under("reception", ("cumulative_lost",))
    yield from _under("reception", ("fraction_lost",), "share")


def _other_figures() -> Iterator[Figure]:
    yield Figure("duration_s", ("duration_s",), "s", place="run")
    for name in ("datagrams", "kernel_drops"):
        yield Figure(f"socket.{name}", (name,), place="socket")
    for name in ("units", "dropped", "skipped"):
        yield Figure(f"sources.{name}", (name,), place="sources")


FIGURES: Mapping[str, Figure] = {figure.name: figure for figure in (*_stream_figures(), *_other_figures())}
_PATHS = {".".join(figure.path): figure for figure in FIGURES.values() if figure.place in ("streams", "run")}
TABLES: Mapping[str, Figure] = {
    figure.name: figure
    for figure in (
        Figure("loss_runs", ("loss_runs",), counts=True),
        Figure("late_runs", ("late_runs",), counts=True),
        Figure("reordering.extent", ("reordering", "extent"), counts=True),
        Figure("unusable", ("unusable",), counts=True),
        Figure("repair.rounds", ("repair", "rounds"), counts=True),
        Figure("repair.refused", ("repair", "refused"), counts=True),
        Figure("repair.fec.refused", ("repair", "fec", "refused"), counts=True),
        Figure("repair.red.refused", ("repair", "red", "refused"), counts=True),
        Figure("socket.unparsed", ("unparsed",), place="socket", counts=True),
        Figure("socket.unmatched_repair", ("unmatched_repair",), place="socket", counts=True),
        Figure("socket.queue_drops", ("queue_drops",), place="socket", counts=True),
        Figure("socket.send_errors", ("send_errors",), place="socket", counts=True),
    )
}
"""counts by name, as `loss_runs.3`."""


def find(name: str) -> tuple[str | None, Figure] | None:
    """The medium that is meant (None: any) and the figure, of `video.freezes.count`; None: there is no such figure."""
    first, dot, rest = name.partition(".")
    media, name = (first, rest) if dot and first in ("audio", "video") else (None, name)
    figure = FIGURES.get(name) or _PATHS.get(name) or _count(name)
    if figure is None or (media and (figure.place in ("socket", "run") or figure.media not in (None, media))):
        return None
    return media, figure


def _count(name: str) -> Figure | None:
    table, _, member = name.rpartition(".")
    if table not in TABLES:
        return None
    found = TABLES[table]
    return Figure(name, (*found.path, member), place=found.place, counts=True)


def values(report: Report, media: str | None, figure: Figure) -> list[Value]:
    """The figure of each stream that can have it; where this end does not know it, what the other end says of it."""
    if figure.place == "run":
        return [_value("", report, figure)]
    if figure.place == "socket":
        return [_value("", report.get("socket"), figure)]
    found = []
    for row in _rows(report.get(figure.place)):
        if row.get("media") in (media, figure.media) or media is figure.media is None:
            value = _value(_name(row), row, figure)
            found += [value] if value.number is not None else _from_peers(report, row, figure) or [value]
    return found


def _from_peers(report: Report, row: Mapping[str, object], figure: Figure) -> list[Value]:
    """What the other ends know of the stream of this row."""
    if figure.place != "streams":
        return []
    peers = [*_rows([report.get("peer")]), *_rows(report.get("peers"))]
    streams = [other for peer in peers for other in _rows(peer.get("streams")) if other.get("ssrc") == row.get("ssrc")]
    return [value for other in streams if (value := _value(_name(other), other, figure)).number is not None]


def _rows(found: object) -> list[Mapping[str, object]]:
    return [row for row in found if isinstance(row, Mapping)] if isinstance(found, list | tuple) else []


def _name(row: Mapping[str, object]) -> str:
    ssrc = row.get("ssrc")
    return f"{row.get('media')} {ssrc:#010x}" if isinstance(ssrc, int) else str(row.get("media"))


def _value(of: str, found: object, figure: Figure) -> Value:
    parent: Mapping[str, object] | None = None
    for key in figure.path:
        parent = found if isinstance(found, Mapping) else None
        found = None if parent is None else parent.get(key)
    if found is None and figure.counts and parent is not None:
        found = 0
    if isinstance(found, bool) or not isinstance(found, int | float):
        return Value(of, None, "not known")
    return Value(of, found, _text(found, figure.unit, parent))


def _text(number: float, unit: Unit, parent: Mapping[str, object] | None) -> str:
    if unit == "share":
        of = f" ({parent['numerator']}/{parent['denominator']})" if parent and "denominator" in parent else ""
        return f"{100 * number:.2f} %{of}"
    return f"{number:g}" if unit == "" and isinstance(number, float) else f"{number} {unit}".rstrip()
