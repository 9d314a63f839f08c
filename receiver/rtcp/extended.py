"""What a receiver says of a stream beside a report block (RFC 3611): which packets were lost, how many, how it sounds.

Only what is final is told: numbers that have closed.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from protocol.rtcp import trace
from protocol.rtcp.xr import UNAVAILABLE, Block, RunLengths, StatisticsSummary, VoipMetrics
from receiver.account.intervals import Interval
from receiver.account.loss_trace import LossTrace
from receiver.listener import rating
from receiver.media import StreamKey
from receiver.statistics import StreamStatistics
from receiver.stream import Stream

INTERVAL = 2_000_000_000
"""ns between extended reports to one far end."""
MOST = 4
"""streams told of in one packet."""
_MOST_CHUNKS = 64
_MS = 1_000_000


class Extended:
    """Says every two seconds what happened since."""

    def __init__(self) -> None:
        self._next: dict[Hashable, int] = {}
        self._summarised: dict[StreamKey, int] = {}
        """numbers below have been told of in a summary."""

    def blocks(self, path: Hashable, streams: Sequence[Stream], now: int) -> list[Block]:
        """For the report that leaves along `path` at `now` (monotonic ns) about these streams; [] while it is early."""
        if not streams or now < self._next.get(path, 0):
            return []
        self._next = {known: time for known, time in self._next.items() if time > now} | {path: now + INTERVAL}
        told = self._summarised
        self._summarised = {stream.key: told.get(stream.key, 0) for stream in streams}
        return [block for stream in streams[:MOST] for block in self._of(stream)]

    def _of(self, stream: Stream) -> list[Block]:
        s = stream.statistics()
        fresh = [row for row in s.intervals if row.first >= self._summarised[s.key]]
        if fresh:
            self._summarised[s.key] = fresh[-1].end
        found = [_losses(stream.loss_trace, s), _summary(s.key.ssrc, fresh), _voip(s)]
        return [block for block in found if block is not None]


def _losses(closing: LossTrace, s: StreamStatistics) -> RunLengths | None:
    """Of what closed last, as much as fits. Which numbers those are is known once an interval is final."""
    if not s.intervals or not len(received := closing.take()):
        return None
    closed = s.intervals[0].first + s.ledger.closed
    chunks = trace.chunks(received)
    while len(chunks) > _MOST_CHUNKS:
        received = received[len(received) // 2 :]
        chunks = trace.chunks(received)
    return RunLengths(s.key.ssrc, (closed - len(received)) & 0xFFFF, closed & 0xFFFF, chunks)


def _summary(ssrc: int, rows: Sequence[Interval]) -> StatisticsSummary | None:
    """Of the intervals that became final."""
    if not rows:
        return None
    lost, copies = sum(row.lost for row in rows), sum(row.duplicates for row in rows)
    return StatisticsSummary(ssrc, rows[0].first & 0xFFFF, rows[-1].end & 0xFFFF, lost, copies)


def _voip(s: StreamStatistics) -> VoipMetrics | None:
    """§4.7, of sound."""
    counts, bursts = s.ledger, s.bursts
    if s.format.media != "audio" or not counts.span or s.spacing is None or bursts.gmin > 255:
        return None
    rated = rating(s)
    target = _milliseconds(s.target)
    return VoipMetrics(
        s.key.ssrc,
        loss_rate=_share(counts.lost / counts.span),
        discard_rate=_share(counts.late / counts.span),
        burst_density=_share(bursts.burst_density),
        gap_density=_share(bursts.gap_density),
        burst_duration=_milliseconds((bursts.burst_length or 0) * s.spacing),
        gap_duration=_milliseconds((bursts.gap_length or 0) * s.spacing),
        round_trip_delay=_milliseconds(s.round_trip or 0),
        end_system_delay=_milliseconds(s.playout_delay_mean or 0),
        gmin=bursts.gmin,
        r_factor=UNAVAILABLE if rated is None else round(max(0.0, min(100.0, rated.r))),
        mos_cq=UNAVAILABLE if rated is None else round(10 * rated.mos),
        buffer_nominal=target,
        buffer_maximum=target,
        buffer_absolute_maximum=target,
    )


def _share(value: float | None) -> int:
    """In 1/256, rounded down."""
    return min(255, int(256 * (value or 0)))


def _milliseconds(ns: float) -> int:
    return max(0, min(0xFFFF, round(ns / _MS)))
