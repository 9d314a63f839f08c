"""The rows of the report's `intervals` as comma-separated values, one line for each interval and stream."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_FIRST = ("start_s", "end_s", "media", "ssrc", "epoch")

Row = dict[str, object]


def csv_text(report: Mapping[str, Any]) -> str:
    """RFC 4180. A name in the header is the path in the JSON row, `ledger.lost`; what is null is empty."""
    media = {(stream["ssrc"], stream["epoch"]): stream["media"] for stream in report["streams"] if "epoch" in stream}
    rows = list(_rows(report["intervals"], media))
    names = list(dict.fromkeys([*_FIRST, *(name for row in rows for name in row)]))
    out = io.StringIO()
    writer = csv.DictWriter(out, names)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _rows(intervals: Iterable[Mapping[str, Any]], media: Mapping[tuple[int, int], str]) -> Iterator[Row]:
    for interval in intervals:
        common = dict(_flat({name: value for name, value in interval.items() if name != "streams"}))
        for stream in interval["streams"]:
            name = media.get((stream.get("ssrc"), stream.get("epoch")))
            yield {**common, "media": name, **dict(_flat(stream))}


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Lists are no cells: they are left out."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif not isinstance(value, list | tuple):
            yield f"{prefix}{name}", value
