"""Packets held by number, as runs of consecutive numbers that came together: keeping a batch costs little more than
keeping one packet."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, repeat
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from receiver.account.numbers import contiguous


@dataclass(frozen=True, slots=True)
class Packets:
    """Packets of one stream, each field of shape (n,); payloads lie in `buffer`, which is not kept."""

    sequence: NDArray[np.int64]
    """extended sequence numbers."""
    timestamp: NDArray[np.int64]
    """unwrapped RTP timestamps."""
    marker: NDArray[np.bool_]
    arrival_time: NDArray[np.int64]
    payload_offset: NDArray[np.int64]
    payload_length: NDArray[np.int64]
    buffer: NDArray[np.uint8]

    @classmethod
    def one(cls, number: int, timestamp: int, marker: bool, payload: bytes, arrival: int) -> Packets:
        """A single one; `number` extended, `timestamp` unwrapped."""
        return cls(
            np.array([number]), np.array([timestamp]), np.array([marker]), np.array([arrival]),
            np.array([0]), np.array([len(payload)]), np.frombuffer(payload, np.uint8),
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.sequence)

    def select(self, rows: NDArray[np.bool_] | slice) -> Packets:
        """The chosen rows."""
        return Packets(
            self.sequence[rows], self.timestamp[rows], self.marker[rows], self.arrival_time[rows],
            self.payload_offset[rows], self.payload_length[rows], self.buffer,
        )  # fmt: skip


class Row(NamedTuple):
    """One packet."""

    data: bytes
    """what holds the payload, from `start` to `end`."""
    start: int
    end: int
    timestamp: int
    marker: bool
    arrival_time: int

    @property
    def payload(self) -> bytes:
        return self.data[self.start : self.end]


_FEW = 32
"""packets up to which plain Python is quicker than NumPy."""
_CLOSE = 64
"""bytes between two payloads that are always copied along: headers."""


class _Run:
    """Consecutive numbers from `first` on, of one batch."""

    def __init__(self, packets: Packets, first: int) -> None:
        self.first = first
        self.end = first + len(packets)
        self.packets = packets
        """their payloads are in `rows`."""
        if len(packets) <= _FEW:
            self.rows = _separately(packets)
            return
        starts, ends = packets.payload_offset, packets.payload_offset + packets.payload_length
        between = starts[1:] - ends[:-1]
        far = np.maximum(packets.payload_length[1:], _CLOSE)  # one large copy is quicker than many, and at most doubles
        last = np.flatnonzero((between < 0) | (between > far))
        memory = packets.buffer.data
        self._edges = [0, *(last + 1).tolist(), len(packets)]
        cuts = [int(starts[0]), *starts[last + 1].tolist()], [*ends[last].tolist(), int(ends[-1])]
        self._pieces = [bytes(memory[start:end]) for start, end in zip(*cuts, strict=True)]

    @cached_property
    def rows(self) -> list[Row]:
        """Made when somebody looks: what is skipped, nobody does."""
        packets, edges = self.packets, self._edges
        starts, ends = packets.payload_offset, packets.payload_offset + packets.payload_length
        base = np.repeat(starts[edges[:-1]], np.diff(edges))
        data = [piece for piece, (a, b) in zip(self._pieces, pairwise(edges), strict=True) for _ in range(a, b)]
        columns = (starts - base, ends - base, packets.timestamp, packets.marker, packets.arrival_time)
        return [*map(Row._make, zip(data, *(column.tolist() for column in columns), strict=True))]


def _separately(packets: Packets) -> list[Row]:
    """The rows, each with a copy of its own payload."""
    memory = packets.buffer.data
    starts, lengths = packets.payload_offset.tolist(), packets.payload_length.tolist()
    payloads = [bytes(memory[start : start + length]) for start, length in zip(starts, lengths, strict=True)]
    told = packets.timestamp.tolist(), packets.marker.tolist(), packets.arrival_time.tolist()
    return [*map(Row, payloads, repeat(0), lengths, *told)]


class Runs:
    """Ascending; no number is in two of them."""

    def __init__(self) -> None:
        self._runs: list[_Run] = []
        self._firsts: list[int] = []

    def __contains__(self, number: int) -> bool:
        run = self._run(number)
        return run is not None and number < run.end

    def add(self, packets: Packets) -> None:
        """At least one packet; of a number that is held the one that was first stays."""
        numbers = packets.sequence
        first, end = int(numbers[0]), int(numbers[-1]) + 1
        at = bisect_right(self._firsts, first)
        free = at == 0 or self._runs[at - 1].end <= first
        free &= at == len(self._runs) or end <= self._firsts[at]
        if free and contiguous(numbers, first):
            self._runs.insert(at, _Run(packets, first))
            self._firsts.insert(at, first)
        elif len(numbers) > 1:
            self._add_parts(packets)

    def _add_parts(self, packets: Packets) -> None:
        """Out of order, with holes, or among what is held: by stretches, or where those will not do one by one."""
        breaks = np.flatnonzero(np.diff(packets.sequence) != 1) + 1
        edges = [0, *breaks.tolist(), len(packets)] if len(breaks) else range(len(packets) + 1)
        for a, b in pairwise(edges):
            self.add(packets.select(slice(a, b)))

    def forget_below(self, number: int) -> None:
        """Nobody asks for them again."""
        count = bisect_right(self._firsts, number)
        if count and self._runs[count - 1].end > number:
            count -= 1
        del self._runs[:count], self._firsts[:count]

    def get(self, number: int) -> Row | None:
        """None where it is not held."""
        run = self._run(number)
        return run.rows[number - run.first] if run is not None and number < run.end else None

    def consecutive(self, number: int) -> Iterator[Row]:
        """From `number` on until one is not held."""
        at = bisect_right(self._firsts, number) - 1
        while 0 <= at < len(self._runs) and self._runs[at].first <= number < self._runs[at].end:
            run = self._runs[at]
            yield from run.rows[number - run.first :] if number > run.first else run.rows
            number, at = run.end, at + 1

    def stretch(self, number: int) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.int64]]:
        """As `consecutive`: their timestamps, markers and arrival times."""
        parts: list[Packets] = []
        at = bisect_right(self._firsts, number) - 1
        while 0 <= at < len(self._runs) and self._runs[at].first <= number < self._runs[at].end:
            run = self._runs[at]
            parts.append(run.packets.select(slice(number - run.first, None)))
            number, at = run.end, at + 1
        if len(parts) == 1:
            return parts[0].timestamp, parts[0].marker, parts[0].arrival_time
        columns = ([getattr(part, name) for part in parts] for name in ("timestamp", "marker", "arrival_time"))
        timestamps, markers, times = (np.concatenate(column) if parts else np.zeros(0, np.int64) for column in columns)
        return timestamps, markers.astype(bool), times

    def between(self, first: int, end: int) -> list[Row | None]:
        """Those of `first` to below `end`, None where one is not held."""
        rows: list[Row | None] = []
        at = max(0, bisect_right(self._firsts, first) - 1)
        for run in self._runs[at:]:
            if run.first >= end:
                break
            here = first + len(rows)
            if run.end > here:
                rows += [None] * (run.first - here)
                here = max(here, run.first)
                rows += run.rows[here - run.first : end - run.first]
        return rows + [None] * (end - first - len(rows))

    def lowest(self, number: int) -> int | None:
        """The lowest number held that is not below this one."""
        run = self._run(number)
        if run is not None and number < run.end:
            return number
        at = bisect_right(self._firsts, number)
        return self._firsts[at] if at < len(self._firsts) else None

    def _run(self, number: int) -> _Run | None:
        """The last one that does not begin above `number`."""
        at = bisect_right(self._firsts, number)
        return self._runs[at - 1] if at else None
