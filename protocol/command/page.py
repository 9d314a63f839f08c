"""What a terminal dashboard shows, laid out for a screen of any size: both programs' dashboards are such pages."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.cells import cell_len, set_cell_size
from rich.text import Text

_LEVELS = "▁▂▃▄▅▆▇"
"""without the full block: the rows of traces must not grow together."""
_PLAIN_LEVELS = "_.-:=+#"
_LABEL = 15
_COLUMN = 31
"""the least that holds a trace, and the share `0.48 % (29/6012)` of a long run."""
_TRACE = 8
"""columns; a shorter one shows nothing."""
_VALUE = 10
"""columns of a value that has a trace, so that traces stand in line: `1.9 Mbit/s`."""
_NARROW, _LOW = 40, 8
_STYLES = {"": "", "warn": "yellow", "bad": "bold red", "good": "green"}

Style = Literal["", "warn", "bad", "good"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure of one stream: its course, where it has one, and its value."""

    text: str
    trace: tuple[float | None, ...] = ()
    """a value each second, the newest last; None: not known."""
    full: float = 0.0
    """the value up to which a bar is not full, however small all others are."""
    style: Style = ""


@dataclass(frozen=True, slots=True)
class Row:
    label: str
    cells: tuple[Cell, ...]
    rank: int = 0
    """where there is not enough room, the highest go first."""


@dataclass(frozen=True, slots=True)
class Page:
    title: str
    verdict: str
    headings: tuple[str, ...]
    """a column for each stream."""
    rows: tuple[Row, ...]
    log: tuple[str, ...]
    """lines, the newest last."""


def sparkline(values: Sequence[float | None], width: int, full: float = 0.0, *, plain: bool = False) -> str:
    """The newest `width` values as bars, left-aligned; a full one is the greatest of them, but at least `full`."""
    newest = values[max(0, len(values) - width) :] if width > 0 else ()
    top = max([full, *(value for value in newest if value is not None)])
    levels = _PLAIN_LEVELS if plain else _LEVELS
    return "".join(" " if value is None else _bar(value, top, levels) for value in newest).ljust(max(0, width))


def _bar(value: float, top: float, levels: str) -> str:
    share = min(1.0, max(0.0, value / top)) if top > 0 else 0.0
    return levels[min(len(levels) - 1, -int(-share * len(levels) // 1) - (share > 0))]


def lay_out(page: Page, width: int, height: int, *, plain: bool = False) -> Text:
    """At most `height` lines of at most `width` columns. `plain`: nothing but ASCII in the traces."""
    lines = [_line(page.title, width, "bold")]
    verdict = _wrapped(page.verdict, width, max(1, height // 7))
    if width < _NARROW or height < _LOW:
        lines += [_line(text, width) for text in verdict]
        lines += [_line(text, width, "dim") for text in _newest(page.log, height - len(lines))]
        return _joined(lines[:height])
    lines += [_line(text, width) for text in verdict]
    airy = height >= 20
    lines += [Text("")] * airy
    least = min(max(3, height // 5), len(page.log) + 1)
    lines += _table(page, width, height - len(lines) - least - airy, plain)
    lines += [Text("")] * airy
    lines += [_line("events", width, "bold"), *_log(page.log, width, height - len(lines) - 1)]
    return _joined(lines[:height])


def _table(page: Page, width: int, height: int, plain: bool) -> list[Text]:
    """Streams side by side, as many as fit."""
    count = max(1, min(len(page.headings), (width - _LABEL) // _COLUMN))
    column = (width - _LABEL) // count
    left = len(page.headings) - count
    more = f"+{left} more" if left > 0 else ""
    heading = Text(_fit(more, _LABEL), "dim")
    for text in page.headings[:count]:
        heading.append(_fit(text, column - 1) + " ", "bold")
    rank = sorted(page.rows, key=lambda row: row.rank)[: max(0, height - 1)]
    rows = [row for row in page.rows if row in rank]
    return [heading, *(_row(row, count, column, plain) for row in rows)] if page.headings else []


def _row(row: Row, count: int, column: int, plain: bool) -> Text:
    line = Text(_fit(row.label, _LABEL), "dim", no_wrap=True)
    for cell in row.cells[:count]:
        trace = column - _VALUE - 2
        if cell.trace and trace >= _TRACE:
            line.append(_fit(cell.text, _VALUE) + " ", _STYLES[cell.style])
            line.append(sparkline(cell.trace, trace, cell.full, plain=plain) + " ", "cyan")
        else:
            line.append(_fit(cell.text, column - 1) + " ", _STYLES[cell.style])
    return line


def _log(log: Sequence[str], width: int, height: int) -> list[Text]:
    return [_line(text, width, "dim") for text in _newest(log, height)]


def _newest(lines: Sequence[str], count: int) -> Sequence[str]:
    return lines[max(0, len(lines) - count) :] if count > 0 else ()


def _wrapped(text: str, width: int, most: int) -> list[str]:
    return textwrap.wrap(_printable(text), width, max_lines=most, placeholder=" …") if width > 2 else []


def _line(text: str, width: int, style: str = "") -> Text:
    line = Text(_printable(text), style, no_wrap=True)
    line.truncate(width, overflow="ellipsis")
    return line


def _fit(text: str, width: int) -> str:
    """Exactly so many columns; what is cut off is seen to be."""
    text = _printable(text)
    return set_cell_size(text, width) if cell_len(text) <= width else set_cell_size(text, width - 1) + "…"


def _printable(text: str) -> str:
    """What comes from the network must not move the cursor."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _joined(lines: Sequence[Text]) -> Text:
    return Text("\n", no_wrap=True, end="").join(lines)
