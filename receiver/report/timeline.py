"""The report's intervals as lines over time, for one stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Points = list[tuple[float, float | None]]
Rows = Sequence[Mapping[str, Any]]


class Timeline:
    """The rows of `intervals` that speak of one SSRC and epoch; each point stands at the end of its row."""

    def __init__(self, intervals: Rows, stream: Mapping[str, Any]) -> None:
        key = stream["ssrc"], stream.get("epoch")
        self._final: Rows = stream.get("intervals") or ()
        self._rows = [
            (float(interval["end_s"]), row)
            for interval in intervals
            for row in interval.get("streams") or ()
            if (row.get("ssrc"), row.get("epoch")) == key
        ]

    def __bool__(self) -> bool:
        return len(self._rows) > 1

    def share(self, *names: str) -> Points:
        """Of each interval's packets, those counted under any of `names`."""
        if self._final:
            return [(float(row["end_s"]), _share(row, names)) for row in self._final]
        return [(time, _share(row.get("ledger") or {}, names)) for time, row in self._rows]

    def figure(self, name: str) -> Points:
        """A figure of each row."""
        return [(time, row.get(name)) for time, row in self._rows]

    def buffer_target(self) -> Points:
        return [(time, buffer.get("target_ms")) for time, buffer in self._buffers()]

    def buffer_delay(self) -> Points:
        """The mean of what was handed on in each interval, ms: of two means since the start."""
        points: Points = []
        before, total_before = 0, 0.0
        for time, buffer in self._buffers():
            emitted, mean = buffer.get("emitted") or 0, buffer.get("delay_mean_ms")
            total = 0.0 if mean is None else mean * emitted
            new = emitted - before
            points.append((time, max(0.0, total - total_before) / new if new > 0 else None))
            before, total_before = emitted, total
        return points

    def _buffers(self) -> list[tuple[float, Mapping[str, Any]]]:
        return [(time, row.get("buffer") or {}) for time, row in self._rows]


def measured(lines: Mapping[str, Points]) -> dict[str, Points]:
    """Those of which at least one point is known."""
    return {name: points for name, points in lines.items() if any(value is not None for _, value in points)}


def _share(counts: Mapping[str, Any], names: Sequence[str]) -> float | None:
    packets = (counts.get("arrived") or 0) + (counts.get("lost") or 0)
    known = [counts[name] for name in names if counts.get(name) is not None]
    return sum(known) / packets if packets and known else None
