"""The report as one HTML file: no script, nothing from elsewhere, verdict first, and fit to be printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from receiver.report import charts
from receiver.report.html_figures import ledger, rows_of
from receiver.report.markup import Markup, joined, table, tag
from receiver.report.snapshot import Ratio
from receiver.report.timeline import Timeline, measured

_NAMES = {
    "network_loss": "lost in the network",
    "local_drop": "dropped by this machine",
    "late": "too late",
    "recovered": "repaired in time",
    "effective_loss": "missed by viewer and listener",
}
_MARKED = 60
"""events with a mark in the charts; of more, the marks would be all there is."""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"

Report = Mapping[str, Any]


def html_report(report: Report) -> str:
    """Of the object that `document.document` makes, or that a report.json of an earlier version holds.

    Raises ResourceError when the chart library is not installed.
    """
    style = resources.files("receiver.report").joinpath("static/report.css").read_text("utf-8")
    head = joined(
        Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup('<meta name="color-scheme" content="light dark">'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
        tag("title", "Steadycast report"),
        tag("style", Markup(style)),
    )
    body = tag("body", _heading(report), tag("main", *_sections(report)))
    return f'<!doctype html>\n<html lang="en">{tag("head", head)}{body}</html>\n'


def _heading(report: Report) -> Markup:
    seconds = report.get("duration_s")
    lasted = "" if seconds is None else f"{_duration(seconds)}, {len(report['streams'])} streams"
    return tag("header", tag("h1", "Steadycast report"), tag("p", lasted))


def _sections(report: Report) -> list[Markup]:
    error = report.get("error")
    parts = [
        tag("section", tag("h2", "What happened"), tag("p", report["verdict"]), class_="verdict"),
        tag("p", "Ended with an error: ", error, class_="error") if error else Markup(""),
        _shares(report["streams"]),
        *(_stream(stream, report) for stream in report["streams"]),
        _events(report.get("events") or []),
        *(_peer(peer) for peer in _peers(report)),
        _machine(report),
    ]
    return parts


# -- the streams ----------------------------------------------------------------------------------------------


def _shares(streams: Sequence[Report]) -> Markup:
    if not streams:
        return Markup("")
    head = ["", *_NAMES.values()]
    rows = [[_title(stream), *(_share(stream["ratios"].get(name)) for name in _NAMES)] for stream in streams]
    return tag("section", tag("h2", "Where the packets went"), table(head, rows, class_="shares"))


def _share(ratio: Mapping[str, int | None] | None) -> Markup:
    """With what it is a share of; with none seen, what it may be at most (the rule of three)."""
    if ratio is None or ratio.get("value") is None:
        seen = "" if ratio is None or not ratio.get("numerator") else f"{ratio['numerator']} seen"
        return joined(tag("b", "unknown"), tag("small", seen))
    numerator, denominator = ratio["numerator"], ratio["denominator"]
    assert denominator
    value, _, parts = str(Ratio(numerator, denominator)).partition(" (")
    bound = "" if numerator or denominator <= 3 else f"; below {300 / denominator:.2g} % (95 %)"
    return joined(tag("b", value), tag("small", f"{parts.rstrip(')')}{bound}"))


def _stream(stream: Report, report: Report) -> Markup:
    cname = tag("p", f"from {stream['cname']}", class_="quiet") if stream.get("cname") else Markup("")
    return tag(
        "section",
        tag("h2", _title(stream)),
        cname,
        tag("div", *_timelines(stream, report), *_distributions(stream), class_="charts"),
        _figures(stream),
        class_="stream",
    )


def _figures(stream: Report) -> Markup:
    return tag("div", table([], ledger(stream)), table([], rows_of(stream)), class_="columns")


def _timelines(stream: Report, report: Report) -> list[Markup]:
    timeline = Timeline(report.get("intervals") or [], stream)
    if not timeline:
        return []
    marks = [float(event["time_s"]) for event in (report.get("events") or [])[:_MARKED]]
    losses = {
        "lost": timeline.share("lost"),
        "late": timeline.share("late"),
        "missed": timeline.share("missed"),
    }
    delays = {
        "jitter": timeline.figure("jitter_ms"),
        "buffer": timeline.buffer_delay(),
        "target": timeline.buffer_target(),
        "round trip": timeline.figure("rtt_ms"),
    }
    rates = {"payload": timeline.figure("bitrate_bps")}
    shown = (
        ("Lost and late", "share of each interval's packets", losses, charts.percent),
        ("Delay", "ms", delays, lambda value: f"{value:.0f}"),
        ("Bit-rate", "kbit/s", rates, lambda value: f"{value / 1e3:.0f}"),
    )
    return [
        charts.timeline(title, note, known, marks, write)
        for title, note, lines, write in shown
        if (known := measured(lines))
    ]


def _distributions(stream: Report) -> list[Markup]:
    drawn = []
    if stream.get("loss_runs") or stream.get("late_runs"):
        drawn.append(charts.runs("Runs of loss", stream.get("loss_runs") or {}, stream.get("late_runs") or {}))
    if stream.get("delay_distribution"):
        points = _steps(stream["delay_distribution"])
        drawn.append(
            charts.curve("Delay distribution", "packets", points, x_title="ms above the least", write=_count, fill=True)
        )
    if stream.get("needed_buffer"):
        note, points = "share that would have been late", [tuple(pair) for pair in stream["needed_buffer"]]
        drawn.append(charts.curve("Needed buffer", note, points, x_title="ms of buffer", write=charts.percent))
    return drawn


def _steps(bins: Sequence[tuple[float, int]]) -> list[tuple[float, float | None]]:
    """The outline of a histogram whose bins are told by their lower edges."""
    edges = [edge for edge, _ in bins]
    width = edges[-1] - edges[-2] if len(edges) > 1 else 1.0
    ends = [*edges[1:], edges[-1] + width]
    return [(x, count) for (low, count), high in zip(bins, ends, strict=True) for x in (low, high)]


def _title(stream: Report) -> str:
    restart = f", restart {stream['epoch']}" if stream.get("epoch") else ""
    return f"{stream['media']} {stream['encoding']}, SSRC {stream['ssrc']:#010x}{restart}"


# -- the rest -------------------------------------------------------------------------------------------------


def _events(events: Sequence[Mapping[str, Any]]) -> Markup:
    if not events:
        return Markup("")
    rows = [[_duration(event["time_s"]), event["kind"].replace("_", " "), event["why"]] for event in events]
    return tag("section", tag("h2", "Events"), table(["time", "what", "why"], rows, class_="texts"))


def _peers(report: Report) -> list[Report]:
    peers = report.get("peers") or [report.get("peer")]
    return [peer for peer in peers if peer]


def _peer(peer: Report) -> Markup:
    """The other end's half."""
    parts = [tag("h2", "The other end"), tag("p", str(peer.get("verdict") or ""))]
    for stream in peer.get("streams") or []:
        parts += [tag("h3", _title(stream)), _figures(stream)]
    about = _pairs("Its configuration", peer.get("configuration")), _pairs("Its software", peer.get("versions"))
    return tag("section", *parts, tag("div", *about, class_="halves"))


def _machine(report: Report) -> Markup:
    unknown = [tag("li", what) for what in report.get("not_measured") or []]
    socket = report.get("socket") or {}
    return tag(
        "section",
        tag("h2", "How it was measured"),
        joined(tag("h3", "Not measured"), tag("ul", *unknown)) if unknown else Markup(""),
        tag(
            "div",
            _pairs("Socket", socket),
            _pairs("Configuration", report.get("configuration")),
            _pairs("Software", report.get("versions")),
            class_="halves",
        ),
        tag("p", f"Schema {report['schema']}", class_="quiet"),
    )


def _pairs(title: str, values: Mapping[str, Any] | None) -> Markup:
    rows = [[name.replace("_", " "), _text(value)] for name, value in (values or {}).items()]
    return tag("div", tag("h3", title), table([], rows, class_="texts")) if rows else Markup("")


def _text(value: object) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name.replace('_', ' ')} {_text(part)}" for name, part in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(_text(part) for part in value)
    return str(value)


def _count(value: float) -> str:
    return f"{value:.0f}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds, 1), 60)
    return f"{minutes:.0f} min {int(rest)} s" if minutes else f"{rest:.1f} s"
