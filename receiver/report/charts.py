"""The report's charts as SVG, drawn by pygal; how they look is said once, in the report's style sheet."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from protocol.errors import ResourceError
from receiver.report.markup import Markup, tag

Points = Sequence[tuple[float, float | None]]
Write = Callable[[float], str]
MAX_RUN = 20
"""longest run with a bar of its own."""
_FEW_RUNS = 5
"""lengths that have room at least, so that one bar does not fill the chart."""
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
"""s between the marks of a time axis."""
_WIDE, _NARROW = (1000, 230), (360, 230)
_UNWANTED = re.compile(
    r"<(script|style|desc)\b.*?</\1>|<desc[^>]*/>|<!--.*?-->|<defs></defs>|<title>.*?</title>| id=\"[^\"]*\"", re.DOTALL
)


def runs(title: str, lost: Mapping[str, int], late: Mapping[str, int]) -> Markup:
    """How many runs there were of each length; everything longer than MAX_RUN in one bar."""
    longest = max((int(length) for length in (*lost, *late)), default=1)
    longest = max(longest, _FEW_RUNS)
    lengths = [str(length) for length in range(1, min(longest, MAX_RUN) + 1)]
    labels = [*lengths, f"> {MAX_RUN}"] if longest > MAX_RUN else lengths
    chart = _pygal().Bar(**_common(_NARROW), x_title="packets in a row", y_title="runs")
    chart.print_values, chart.print_values_position = longest <= 8, "top"
    chart.x_labels = labels
    chart.value_formatter = _whole
    shown = {name: counts for name, counts in (("lost", lost), ("late", late)) if counts}
    for name, counts in shown.items():
        heights = [counts.get(length, 0) for length in lengths]
        heights += [sum(counts.values()) - sum(heights)] * (len(labels) - len(lengths))
        chart.add(name, [height or None for height in heights])
    return _figure(title, "", chart, list(shown))


def curve(title: str, note: str, points: Points, *, x_title: str, write: Write, fill: bool = False) -> Markup:
    """One line over milliseconds."""
    chart = _pygal().XY(**_common(_NARROW), fill=fill, x_title=x_title)
    chart.value_formatter, chart.x_value_formatter = write, _whole
    chart.add("", list(points))
    return _figure(title, note, chart, [])


def timeline(title: str, note: str, lines: Mapping[str, Points], events: Sequence[float], write: Write) -> Markup:
    """Lines over the time since the start, and a mark for each event."""
    chart = _pygal().XY(**_common(_WIDE), allow_interruptions=True)
    chart.value_formatter, chart.x_value_formatter = write, _clock
    chart.x_labels = _marks(max((points[-1][0] for points in lines.values() if points), default=0.0))
    for name, points in lines.items():
        chart.add(name, list(points))
    top = max((value for points in lines.values() for _, value in points if value is not None), default=0) or 1
    chart.add("events", [end for time in events for end in ((time, 0), (time, top), (None, None))])
    names = [*lines, "events"] if events else list(lines)
    return _figure(title, note, chart, names, class_="wide with-events" if events else "wide")


def percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _pygal() -> Any:
    try:
        import pygal  # type: ignore[import-untyped]
    except ImportError:
        raise ResourceError("the report's charts need a package that is missing: pip install 'pygal>=3.1'") from None
    return pygal


def _common(size: tuple[int, int]) -> dict[str, object]:
    from pygal.style import Style  # type: ignore[import-untyped]

    sizes = dict.fromkeys(("label_font_size", "major_label_font_size", "title_font_size", "value_font_size"), 12)
    return {
        "width": size[0],
        "height": size[1],
        "style": Style(**sizes),
        "css": [],
        "js": [],
        "disable_xml_declaration": True,
        "show_legend": False,
        "show_dots": False,
        "margin": 6,
        "include_x_axis": True,
        "max_scale": 6,
    }


def _figure(title: str, note: str, chart: Any, names: Sequence[str], class_: str = "") -> Markup:
    """The names of the lines stand above the chart, as text, beside their colours."""
    drawn = _UNWANTED.sub("", chart.render(is_unicode=True))
    label = ", ".join(text for text in (title, note) if text)
    svg = Markup(drawn.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1))
    keys = [tag("span", name, class_=f"key key-{'events' if name == 'events' else n}") for n, name in enumerate(names)]
    caption = tag("figcaption", tag("strong", title), *([tag("small", note)] if note else []), *keys)
    return tag("figure", caption, svg, class_=class_)


def _whole(value: float) -> str:
    return f"{value:.0f}" if value == round(value) else f"{value:.3g}"


def _marks(end: float) -> list[int]:
    """About ten marks from 0 to `end`."""
    step = next((step for step in _STEPS if end <= 10 * step), _STEPS[-1])
    return list(range(0, int(end) + 1, step))


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
