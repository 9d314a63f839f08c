"""What the charts of the last quarter of an hour are drawn from: so a page opened late is full too."""

from __future__ import annotations

from collections import deque

from receiver.report.snapshot import Percentiles, Snapshot, StreamSnapshot

SECONDS = 900
STREAMS = 16
"""of the newest streams; more lines than that nobody reads."""

FIELDS = (
    "span", "lost_network", "lost_local", "late", "recovered", "missed",
    "bitrate_bps", "jitter_ms", "variation_p50", "variation_p95", "variation_p99", "rtt_ms", "one_way_delay_ms",
    "buffer_delay_mean_ms", "emitted", "target_ms", "playout_p50", "playout_p95",
)  # fmt: skip
"""of a row, in its order, after the stream's name; counts are cumulative."""

Row = list[str | float | None]
_NONE = Percentiles()


def stream_name(stream: StreamSnapshot) -> str:
    """As the page names it."""
    return f"{stream.ssrc}/{stream.epoch}"


def point(snapshot: Snapshot) -> dict[str, object]:
    """One moment: `t` in seconds since the start, and a row for each stream."""
    return {"t": round(snapshot.time_s, 2), "rows": [_row(stream) for stream in snapshot.streams[-STREAMS:]]}


def _row(stream: StreamSnapshot) -> Row:
    counts, variation = stream.ledger, stream.delay_variation_ms or _NONE
    playout = stream.playout_delay_ms or _NONE
    values = (
        counts.span, counts.lost_network, counts.lost_local, counts.late,
        counts.recovered_rtx + counts.recovered_fec, counts.missed,
        stream.bitrate_bps, stream.jitter_ms, variation.p50, variation.p95, variation.p99,
        stream.rtt_ms, stream.one_way_delay_ms,
        stream.buffer.delay_mean_ms, stream.buffer.emitted, stream.buffer.target_ms, playout.p50, playout.p95,
    )  # fmt: skip
    return [stream_name(stream), *(None if value is None else round(value, 3) for value in values)]


class History:
    """The points of the last SECONDS, one a second."""

    def __init__(self) -> None:
        self._points: deque[dict[str, object]] = deque(maxlen=SECONDS)

    def add(self, moment: dict[str, object]) -> None:
        self._points.append(moment)

    def points(self) -> list[dict[str, object]]:
        return list(self._points)
