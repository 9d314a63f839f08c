"""The terminal dashboard: what happened in the last minutes, a column for each stream."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from protocol.command.page import Cell, Page, Row, Style
from receiver.media import AudioPlayoutStatistics, VideoPlayoutStatistics
from receiver.report.line import current, rate
from receiver.report.snapshot import Ratio, Snapshot, StreamSnapshot, ratios
from receiver.report.verdict import verdict

HISTORY = 300
"""seconds kept: more than any terminal has columns for."""
_EVENTS = 100
_WARN, _BAD = 0.0, 0.01
"""shares above which a ratio is seen to be not nothing, and seen to hurt."""

_Key = tuple[int, int]
Line = tuple[float, str]
"""seconds since the start."""


@dataclass(frozen=True, slots=True)
class _Moment:
    """One second of one stream; None: not known."""

    loss: float | None
    jitter_ms: float | None
    bitrate_bps: float | None
    buffer_ms: float | None


class Dashboard:
    """Gets a snapshot each second, and makes the page of the newest and of the minutes before."""

    def __init__(self, ports: Sequence[int] = ()) -> None:
        """`ports`: where packets are expected, for the verdict before any came."""
        self.snapshot = Snapshot(0.0)
        self._ports = ports
        self._moments: dict[_Key, deque[_Moment]] = {}

    def add(self, snapshot: Snapshot) -> None:
        before = {_key(stream): stream for stream in self.snapshot.streams}
        kept = {}
        for stream in snapshot.streams:
            moments = self._moments.get(_key(stream), deque(maxlen=HISTORY))
            moments.append(_moment(stream, before.get(_key(stream))))
            kept[_key(stream)] = moments
        self._moments = kept
        self.snapshot = snapshot

    def page(self, lines: Sequence[Line]) -> Page:
        """`lines`: what the program said meanwhile."""
        snapshot = self.snapshot
        newest = current(snapshot)
        streams = [*newest, *(stream for stream in reversed(snapshot.streams) if stream not in newest)]
        return Page(
            title=_title(snapshot),
            verdict=verdict(snapshot, self._ports),
            headings=tuple(_heading(stream) for stream in streams),
            rows=_rows(streams, self),
            log=_log(snapshot, lines),
        )

    def of(self, stream: StreamSnapshot, read: Callable[[_Moment], float | None]) -> tuple[float | None, ...]:
        """The newest last."""
        return tuple(read(moment) for moment in tuple(self._moments.get(_key(stream), ())))


def _rows(streams: Sequence[StreamSnapshot], history: Dashboard) -> tuple[Row, ...]:
    shares = [ratios(stream.ledger) for stream in streams]

    def row(label: str, rank: int, make: Callable[[StreamSnapshot], Cell]) -> Row:
        return Row(label, tuple(make(stream) for stream in streams), rank)

    rows = [
        row("loss now", 1, lambda stream: _loss(history, stream)),
        row("jitter", 5, lambda stream: _jitter(history, stream)),
        row("bit-rate", 6, lambda stream: _bitrate(history, stream)),
        row("buffer target", 7, lambda stream: _buffer(history, stream)),
        *(
            Row(name.replace("_", " "), tuple(_share(name, share[name]) for share in shares), rank)
            for name, rank in _RANKS.items()
        ),
        row("loss runs", 9, lambda stream: Cell(_runs(stream))),
        row("round trip", 10, lambda stream: Cell(_round_trip(stream))),
        row("played", 8, lambda stream: Cell(_played(stream), style=_trouble(stream))),
        row("playout delay", 11, lambda stream: Cell(_delay(stream))),
        row("packets", 12, lambda stream: Cell(_packets(stream))),
    ]
    return tuple(row for row in rows if any(cell.text for cell in row.cells))


_RANKS = {"network_loss": 2, "local_drop": 4, "late": 3, "recovered": 4, "effective_loss": 0}


def _key(stream: StreamSnapshot) -> _Key:
    return stream.ssrc, stream.epoch


def _moment(stream: StreamSnapshot, before: StreamSnapshot | None) -> _Moment:
    loss = None
    if before is not None and stream.ledger.span > before.ledger.span:
        loss = max(0.0, (stream.ledger.lost - before.ledger.lost) / (stream.ledger.span - before.ledger.span))
    return _Moment(loss, stream.jitter_ms, stream.bitrate_bps, stream.buffer.target_ms)


def _title(snapshot: Snapshot) -> str:
    socket = snapshot.socket
    if socket.kernel_drops is None:
        dropped = "drops here unknown"
    else:
        least = "at least " if socket.kernel_drops and not socket.kernel_drops_exact else ""
        dropped = f"{least}{socket.kernel_drops} dropped here"
    return f"Steadycast  {_clock(snapshot.time_s).strip()}   {socket.datagrams} datagrams, {dropped}   Ctrl-C ends"


def _heading(stream: StreamSnapshot) -> str:
    restart = f" restart {stream.epoch}" if stream.epoch else ""
    return f"{stream.media} {stream.encoding} {stream.ssrc:08x}{restart}"


def _share(name: str, share: Ratio) -> Cell:
    if share.value is None:
        return Cell(str(share))
    if name == "recovered":
        return Cell(str(share), style="good" if share.value else "")
    return Cell(str(share), style="bad" if share.value > _BAD else "warn" if share.value > _WARN else "")


def _loss(history: Dashboard, stream: StreamSnapshot) -> Cell:
    trace = history.of(stream, lambda moment: moment.loss)
    return Cell(_percent(trace[-1]) if trace else "", trace, full=0.05)


def _jitter(history: Dashboard, stream: StreamSnapshot) -> Cell:
    return Cell(_ms(stream.jitter_ms), history.of(stream, lambda moment: moment.jitter_ms), full=10.0)


def _bitrate(history: Dashboard, stream: StreamSnapshot) -> Cell:
    return Cell(rate(stream.bitrate_bps), history.of(stream, lambda moment: moment.bitrate_bps))


def _buffer(history: Dashboard, stream: StreamSnapshot) -> Cell:
    return Cell(_ms(stream.buffer.target_ms), history.of(stream, lambda moment: moment.buffer_ms), full=40.0)


def _runs(stream: StreamSnapshot) -> str:
    return ", ".join(f"{count} of {length}" for length, count in sorted(stream.loss_runs.items(), reverse=True))


def _round_trip(stream: StreamSnapshot) -> str:
    if stream.one_way_delay_ms is None:
        return _ms(stream.rtt_ms)
    error = "" if stream.one_way_delay_error_ms is None else f" ± {stream.one_way_delay_error_ms:.1f}"
    return f"{_ms(stream.rtt_ms)}, one way {stream.one_way_delay_ms:.1f}{error} ms"


def _delay(stream: StreamSnapshot) -> str:
    delay = stream.playout_delay_ms
    return "" if delay is None else f"{_ms(delay.p50)} median, {_ms(delay.p95)} p95"


def _played(stream: StreamSnapshot) -> str:
    if stream.video is not None:
        return _pictures(stream.video)
    return "" if stream.audio is None else _sound(stream.audio)


def _pictures(video: VideoPlayoutStatistics) -> str:
    frozen = f", frozen {video.freeze_count}x {video.total_freezes_duration_s:.1f} s" if video.freeze_count else ""
    return f"{video.frames_rendered} pictures{frozen}"


def _sound(audio: AudioPlayoutStatistics) -> str:
    share = Ratio(audio.concealed_samples, audio.total_samples_received)
    return "" if share.value is None else f"{100 * share.value:.2f} % concealed, {audio.concealment_events}x"


def _trouble(stream: StreamSnapshot) -> Style:
    frozen = stream.video is not None and stream.video.freeze_count
    return "warn" if frozen or (stream.audio is not None and stream.audio.concealed_samples) else ""


def _packets(stream: StreamSnapshot) -> str:
    counts = stream.ledger
    return f"{counts.arrived} +{counts.duplicates} twice, {counts.reordered} reordered"


def _log(snapshot: Snapshot, lines: Sequence[Line]) -> tuple[str, ...]:
    """Events and lines in order of time; what is both stands there once."""
    events = [(event.time_s, event.why or event.kind.replace("_", " ")) for event in snapshot.events[-_EVENTS:]]
    told = {text for _, text in events}
    said = [(at, text) for at, text in lines if text not in told]
    return tuple(f"{_clock(at)}  {text}" for at, text in sorted([*events, *said], key=lambda line: line[0]))


def _clock(seconds: float) -> str:
    minutes, rest = divmod(max(0, int(seconds)), 60)
    return f"{minutes:3d}:{rest:02d}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} ms"
