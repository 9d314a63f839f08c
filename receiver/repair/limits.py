"""How full the paths are that streams come along, and what their senders are asked to keep to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field

from protocol.rtcp.tmmbr import Limit
from receiver.events import RateLimited
from receiver.media import StreamKey
from receiver.repair.congestion import Congestion, Window
from receiver.stream import HEADERS, Stream

LEAST = 30_000
"""bit/s that are left to pictures, whatever else comes along the path."""
_JUMP = 5_000_000_000
"""ns that are no queue: a sender's clock has jumped."""
_GAIN = 0.2
_FALL = 0.95
"""of a limit, that is worth an event."""


@dataclass(slots=True)
class _Mark:
    """A stream as it was at the last look."""

    octets: int = 0
    expected: int = 0
    received: int = 0
    rate: float = 0.0
    """bit/s, smoothed."""


@dataclass(slots=True)
class _Path:
    looked: int
    congestion: Congestion = field(default_factory=Congestion)
    told: int | None = None
    """the highest limit since the last event."""


class Limits:
    """Of all paths. `look` about ten times a second; times are monotonic ns."""

    def __init__(self) -> None:
        self._paths: dict[Hashable, _Path] = {}
        self._marks: dict[StreamKey, _Mark] = {}

    def look(self, playing: Iterable[tuple[Hashable, Stream]], now: int) -> tuple[set[Hashable], list[RateLimited]]:
        """Streams alive, each with its path. Returns the paths that became fuller, and what is worth telling."""
        by_path: dict[Hashable, list[Stream]] = {}
        for path, stream in playing:
            if stream.format.media != "load":
                by_path.setdefault(path, []).append(stream)
        known = self._paths
        self._paths = {path: known.get(path) or _Path(now) for path in by_path}
        keys = [stream.key for streams in by_path.values() for stream in streams]
        self._marks = {key: self._marks.get(key) or _Mark() for key in keys}
        fuller, told = set(), []
        for path, streams in by_path.items():
            if path in known and self._look(self._paths[path], streams, now):
                fuller.add(path)
            told += self._share(self._paths[path], streams, now)
        return fuller, told

    def of(self, streams: Iterable[Stream]) -> tuple[Limit, ...]:
        """What their senders are asked to keep to."""
        return tuple(Limit(s.key.ssrc, s.rate_limit, HEADERS) for s in streams if s.rate_limit is not None)

    def _look(self, path: _Path, streams: list[Stream], now: int) -> bool:
        """True when its limit fell."""
        span, path.looked = now - path.looked, now
        if span <= 0:
            return False
        sums: Counter[str] = Counter()
        queues = []
        for stream in streams:
            mark, reception, octets = self._marks[stream.key], stream.ledger.reception(), stream.arrived_octets
            queues.append(stream.take_quickest())
            if reception is None:
                continue
            expected, received = reception.expected - mark.expected, reception.received - mark.received
            fresh = octets - mark.octets
            sums.update(octets=fresh, expected=expected, lost=expected - received)
            rate = mark.rate + (fresh * 8e9 / span - mark.rate) * _GAIN
            self._marks[stream.key] = _Mark(octets, reception.expected, reception.received, rate)
        # The least transit of a stream that began while the queue stood has the queue in it: another one knows better.
        queue = max((q for q in queues if q is not None and q < _JUMP), default=None)
        return path.congestion.observe(Window(span, queue, sums["octets"], sums["expected"], sums["lost"]), now)

    def _share(self, path: _Path, streams: list[Stream], now: int) -> list[RateLimited]:
        """The pictures' part of the limit, each stream's by what comes of it."""
        limit = path.congestion.limit
        for stream in streams:
            stream.congested = path.congestion.suspected
        rates = {stream: self._marks[stream.key].rate for stream in streams}
        pictures = [stream for stream in streams if stream.format.media == "video"]
        of_pictures = sum(rates[stream] for stream in pictures)
        others = sum(rates.values()) - of_pictures
        for stream in pictures:
            part = rates[stream] / of_pictures if of_pictures else 1 / len(pictures)
            stream.rate_limit = None if limit is None else int(max(LEAST, (limit - others) * part))
        return self._tell(path, pictures, now) if pictures else []

    def _tell(self, path: _Path, pictures: list[Stream], now: int) -> list[RateLimited]:
        """The beginning of a limit, each fall worth a word, and its end."""
        limit, told = path.congestion.limit, path.told
        if limit is not None and told is not None and limit > _FALL * told:
            path.told = max(told, limit)
            return []
        if limit == told:
            return []
        path.told = limit
        queue, rate = path.congestion.queue / 1e6, path.congestion.arriving / 1e3
        why = f"{queue:.0f} ms of queue, {rate:.0f} kbit/s arrive" if limit is not None else "the path is free"
        return [RateLimited(stream.key, now, stream.rate_limit, why) for stream in pictures]
