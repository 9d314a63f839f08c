"""Which SSRCs are listened to. However much junk comes beside it, there is room for a new one that proves itself: two
packets make a source, more are asked for once many are known, and the one of which least came makes room."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from protocol.datagram import Batch
from protocol.rtp import Headers, parse_batch
from receiver.candidates import Candidates
from receiver.source import Source

MAX_SOURCES = 1024
"""at once: 140 kB each."""
CROWDED = 32
"""sources from which on a new one has to prove itself."""
PROOF = 8
"""packets, or a sender report, that prove it; otherwise two will do (RFC 3550 A.1)."""


@dataclass(frozen=True, slots=True)
class Heard:
    """Packets of a source."""

    source: Source
    headers: Headers
    arrival_times: NDArray[np.int64]
    batch: Batch
    """that the headers' offsets point into."""


class Known(Protocol):
    """Some of the sources, for reading."""

    def __iter__(self) -> Iterator[Source]: ...
    def get(self, ssrc: int) -> Source | None:
        """None where it is none of them."""


class Sources:
    """`open_source(ssrc, payload type, path, now)` makes one; `forget(source, now)` is told of those that make room."""

    def __init__(
        self,
        open_source: Callable[[int, int, Hashable, int], Source],
        forget: Callable[[Source, int], None],
        parse: Callable[[Batch], Headers] = parse_batch,
    ) -> None:
        self._open, self._forget, self._parse = open_source, forget, parse
        self._known: dict[int, Source] = {}
        self._candidates = Candidates()

    def __iter__(self) -> Iterator[Source]:
        return iter(self._known.values())

    def get(self, ssrc: int) -> Source | None:
        return self._known.get(ssrc)

    def known(self, ssrcs: NDArray[np.uint32]) -> NDArray[np.bool_]:
        """Which of these are sources. shape (n,)."""
        return np.isin(ssrcs, np.fromiter(self._known, np.uint32, len(self._known)))

    def waits(self, ssrc: int) -> bool:
        """Whether packets of this one wait to make it a source."""
        return bool(self._candidates.count(ssrc))

    @property
    def unconfirmed(self) -> int:
        """Packets that were given up, or belong to no numbering of their source."""
        return self._candidates.dropped + sum(source.unconfirmed for source in self)

    @property
    def waiting(self) -> int:
        """Packets of SSRCs that are no sources yet."""
        return len(self._candidates)

    def hear(self, ssrc: int, headers: Headers, rows: NDArray[np.int64], batch: Batch, now: int) -> list[Heard]:
        """The rows of a batch that belong to one SSRC; [] while they wait, what had waited before them otherwise."""
        source = self._known.get(ssrc)
        heard: list[Heard] = []
        if source is None:
            if self._candidates.count(ssrc) + len(rows) < self.needed:
                for row in rows.tolist():
                    self._candidates.add(ssrc, batch.datagram(row), int(batch.arrival_times[row]), batch.path)
                return []
            heard = self.promote(ssrc, now)
            source = heard[0].source if heard else self._admit(ssrc, headers.payload_type[rows[0]], batch.path, now)
        if len(rows) == len(batch):
            heard.append(Heard(source, headers, batch.arrival_times, batch))
        else:
            heard.append(Heard(source, headers.select(rows), batch.arrival_times[rows], batch))
        return heard

    def hear_few(self, headers: Headers, rows: NDArray[np.int64], batch: Batch, now: int) -> list[Heard]:
        """Rows whose SSRCs are not known, too few of each in the batch to prove it: what a flood of junk is made of."""
        heard: list[Heard] = []
        memory, lengths = batch.buffer.data, batch.lengths[rows].tolist()
        ssrcs, starts, times = (
            headers.ssrc[rows].tolist(),
            batch.offsets[rows].tolist(),
            batch.arrival_times[rows].tolist(),
        )
        for row, ssrc, start, length, time in zip(rows.tolist(), ssrcs, starts, lengths, times, strict=True):
            if ssrc in self._known:  # since the row before
                heard += self.hear(ssrc, headers, np.array([row]), batch, now)
                continue
            self._candidates.add(ssrc, bytes(memory[start : start + length]), time, batch.path)
            if self._candidates.count(ssrc) >= self.needed:
                heard += self.promote(ssrc, now)
        return heard

    def proven(self, now: int) -> list[Source]:
        """Those alive that a sender reports about; where there are none, those of which enough came."""
        alive = [source for source in self if source.standing(now) >= PROOF]
        return [source for source in alive if source.last_report is not None] or alive

    @property
    def needed(self) -> int:
        """Packets that make a source."""
        return 2 if len(self._known) < CROWDED else PROOF

    def promote(self, ssrc: int, now: int) -> list[Heard]:
        """Makes a source of what waits of this SSRC; [] when nothing does."""
        waiting = self._candidates.take(ssrc)
        if waiting is None:
            return []
        headers = self._parse(waiting)
        source = self._admit(ssrc, headers.payload_type[0], waiting.path, now)
        return [Heard(source, headers, waiting.arrival_times, waiting)]

    def tidy(self, now: int) -> None:
        """Junk that looked like a stream for a moment does not make it hard for others for long."""
        if len(self._known) >= CROWDED:
            for source in [s for s in self if s.packets < PROOF and not s.standing(now)]:
                self._leave(source, now)

    def _admit(self, ssrc: int, payload_type: np.uint8, path: Hashable, now: int) -> Source:
        if len(self._known) >= MAX_SOURCES:
            self._leave(min(self, key=lambda source: source.standing(now)), now)
        source = self._known[ssrc] = self._open(ssrc, int(payload_type), path, now)
        return source

    def _leave(self, source: Source, now: int) -> None:
        self._forget(source, now)
        del self._known[source.ssrc]
        self._candidates.dropped += source.unconfirmed
