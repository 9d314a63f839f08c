"""The sender's terminal dashboard: what leaves, and what receivers say of it, a column for each stream and target."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from protocol.command.page import Cell, Page, Row
from sender.report import verdict
from sender.snapshot import Snapshot, StreamStatistics, TargetSnapshot

HISTORY = 300
"""seconds kept: more than any terminal has columns for."""
_EVENTS = 100

_Key = tuple[str, int]
Line = tuple[float, str]
"""seconds since the start."""


@dataclass(frozen=True, slots=True)
class _Moment:
    """One second of one stream; None: not known."""

    bitrate_bps: float | None
    lost: float | None
    jitter_ms: float | None
    rtt_ms: float | None


@dataclass(frozen=True, slots=True)
class _Sent:
    """A stream on its way to a target."""

    target: TargetSnapshot
    stream: StreamStatistics

    @property
    def key(self) -> _Key:
        return self.target.name, self.stream.ssrc


class Dashboard:
    """Gets a snapshot each second, and makes the page of the newest and of the minutes before."""

    def __init__(self) -> None:
        self.snapshot = Snapshot(0.0)
        self._moments: dict[_Key, deque[_Moment]] = {}

    def add(self, snapshot: Snapshot) -> None:
        before = {sent.key: sent.stream for sent in _sent(self.snapshot)}
        elapsed = snapshot.time_s - self.snapshot.time_s
        kept = {}
        for sent in _sent(snapshot):
            moments = self._moments.get(sent.key, deque(maxlen=HISTORY))
            moments.append(_moment(sent.stream, before.get(sent.key), elapsed))
            kept[sent.key] = moments
        self._moments = kept
        self.snapshot = snapshot

    def page(self, lines: Sequence[Line]) -> Page:
        """`lines`: what the program said meanwhile."""
        snapshot = self.snapshot
        streams = _sent(snapshot)
        events = [(event.time_s, event.why or event.kind.replace("_", " ")) for event in snapshot.events[-_EVENTS:]]
        told = {text for _, text in events}
        log = sorted([*events, *(line for line in lines if line[1] not in told)], key=lambda line: line[0])
        return Page(
            title=_title(snapshot),
            verdict=verdict(snapshot),
            headings=tuple(f"{sent.stream.media} {sent.stream.encoding} → {sent.target.name}" for sent in streams),
            rows=self._rows(streams),
            log=tuple(f"{_clock(at)}  {text}" for at, text in log),
        )

    def _rows(self, streams: Sequence[_Sent]) -> tuple[Row, ...]:
        def row(label: str, rank: int, make: Callable[[_Sent], Cell]) -> Row:
            return Row(label, tuple(make(sent) for sent in streams), rank)

        rows = [
            row("bit-rate", 1, lambda sent: self._trace(sent, lambda m: m.bitrate_bps, _rate, 0.0)),
            row("lately lost", 0, lambda sent: self._trace(sent, lambda m: m.lost, _percent, 0.05)),
            row("jitter", 4, lambda sent: self._trace(sent, lambda m: m.jitter_ms, _ms, 10.0)),
            row("round trip", 3, lambda sent: self._trace(sent, lambda m: m.rtt_ms, _ms, 20.0)),
            row("packets sent", 2, lambda sent: Cell(str(sent.stream.packets))),
            row("not sent", 5, _not_sent),
            row("reported lost", 2, _reported),
            row("key frames", 6, lambda sent: Cell(_key_frames(sent.stream))),
            row("target", 7, lambda sent: Cell(_state(sent.target), style="bad" if sent.target.refused else "")),
        ]
        return tuple(row for row in rows if any(cell.text for cell in row.cells))

    def _trace(
        self, sent: _Sent, read: Callable[[_Moment], float | None], say: Callable[[float | None], str], full: float
    ) -> Cell:
        trace = tuple(read(moment) for moment in tuple(self._moments.get(sent.key, ())))
        return Cell(say(trace[-1]) if trace else "", trace, full)


def _sent(snapshot: Snapshot) -> list[_Sent]:
    return [_Sent(target, stream) for target in snapshot.targets for stream in target.statistics.streams]


def _moment(stream: StreamStatistics, before: StreamStatistics | None, elapsed: float) -> _Moment:
    rate = 8 * (stream.octets - before.octets) / elapsed if before is not None and elapsed > 0 else None
    said = stream.reception
    return _Moment(
        rate,
        None if said is None else said.fraction_lost,
        None if said is None else said.jitter_ms,
        stream.rtt_ms,
    )


def _title(snapshot: Snapshot) -> str:
    left_out = sum(source.dropped + source.skipped for source in snapshot.sources)
    refused = sum(snapshot.send_errors.values())
    clock = _clock(snapshot.time_s).strip()
    return f"Steadycast  {clock}   left out here: {left_out} frames, {refused} datagrams   Ctrl-C ends"


def _not_sent(sent: _Sent) -> Cell:
    count = sent.stream.not_handed_over
    numbered = sent.stream.packets + count
    share = f"{100 * count / numbered:.2f} % ({count}/{numbered})" if numbered else ""
    return Cell(share, style="bad" if count else "")


def _reported(sent: _Sent) -> Cell:
    said = sent.stream.reception
    if said is None:
        return Cell("no report")
    return Cell(str(said.cumulative_lost), style="warn" if said.cumulative_lost > 0 else "")


def _key_frames(stream: StreamStatistics) -> str:
    return f"{stream.key_frames}, {stream.key_frame_requests} asked for" if stream.media == "video" else ""


def _state(target: TargetSnapshot) -> str:
    if target.refused:
        return "nobody listens there"
    peers = target.statistics.peers
    return f"{peers} receiver{'s' * (peers != 1)}" if peers else "no answer yet"


def _rate(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value / 1e6:.1f} Mbit/s" if value >= 1e6 else f"{value / 1e3:.0f} kbit/s"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} ms"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(max(0, int(seconds)), 60)
    return f"{minutes:3d}:{rest:02d}"
