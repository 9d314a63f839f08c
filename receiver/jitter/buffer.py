"""The jitter buffer: packets in by number, frames out in order; a hole is waited for until its deadline.

It knows numbers, RTP timestamps and markers, never clocks: when a frame is due is asked of the function it is handed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise, repeat
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

CAPACITY = 16_384
"""numbers between the cursor and the highest one held."""

Deadline = Callable[[int], int]
"""RTP timestamp (unwrapped) -> monotonic ns after which a frame that is not whole is given up."""


class Framing(Protocol):
    """What a payload says of its frame; protocol.payload's depacketizers have it."""

    def begins(self, payload: bytes) -> bool: ...

    def duration(self, payload: bytes) -> int | None: ...


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

    def __len__(self) -> int:
        return len(self.sequence)

    def select(self, rows: NDArray[np.bool_] | slice) -> Packets:
        """The chosen rows."""
        return Packets(
            self.sequence[rows], self.timestamp[rows], self.marker[rows], self.arrival_time[rows],
            self.payload_offset[rows], self.payload_length[rows], self.buffer,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Frame:
    """Consecutive numbers that belong together, handed out once."""

    first: int
    end: int
    """one past its last number."""
    timestamp: int
    payloads: tuple[bytes | None, ...]
    """None where a packet is missing."""
    first_arrival: int
    """monotonic ns; of a frame without any packet, the moment it was given up."""
    last_arrival: int
    lost_before: int = 0
    """numbers given up between the frame before and this one, of which no frame is known."""

    @property
    def missing(self) -> int:
        return self.payloads.count(None)


_CLOSE = 64
"""bytes between two payloads that are copied along: headers."""
_Held = tuple[bytes, int, int, int, bool, int]
"""What holds the payload, where it begins and ends there, RTP timestamp, marker, arrival time."""
_TIMESTAMP: Final = 3
_MARKER: Final = 4
_ARRIVAL: Final = 5


class JitterBuffer:
    """Order for one stream. `every_packet_is_a_frame` holds for audio, where a hole becomes frames of its own."""

    def __init__(self, framing: Framing, *, every_packet_is_a_frame: bool) -> None:
        self._framing = framing
        self._single = every_packet_is_a_frame
        self._held: dict[int, _Held] = {}
        self.cursor: int | None = None
        """the lowest number not yet handed out or given up; None before the first packet."""
        self.highest = -1
        self.overflowed = 0
        """numbers given up because more than CAPACITY would have had to wait."""
        self._released = False
        self._scanned = 0
        """numbers from the cursor to below this one are held, of one frame, and none of them has the marker."""
        self._lowest = 0
        """no number from the cursor to below this one is held."""
        self._lost_before = 0

    # -- in ---------------------------------------------------------------------------------------------------

    def insert(self, packets: Packets) -> int:
        """Keeps the packets that can still be used; returns how many came too late for it."""
        numbers: list[int] = packets.sequence.tolist()
        if not numbers:
            return 0
        lowest, highest = min(numbers), max(numbers)
        self._make_room(lowest, highest)
        if self._released and self.cursor is not None and lowest < self.cursor:
            in_time = packets.sequence >= self.cursor
            return int(np.count_nonzero(~in_time)) + self.insert(packets.select(in_time))
        self._held.update(zip(numbers, _rows(packets), strict=True))
        self.highest = max(self.highest, highest)
        self._lowest = min(self._lowest, lowest)
        if not self._released:
            self._begin(lowest)
        return 0

    def _begin(self, lowest: int) -> None:
        """Until the first frame has left, an overtaken packet may still come before the one that came first. Where
        the lowest is not the first of its frame, there is a hole of at least one number before it."""
        if self.cursor is not None and self._lowest < lowest:
            return
        headless = not self._single and not self._framing.begins(self._payload(lowest))
        self.cursor = self._scanned = lowest - headless
        self._lowest = lowest

    def _make_room(self, lowest: int, highest: int) -> None:
        """Past the bound the oldest numbers are given up."""
        cursor = lowest if self.cursor is None else self.cursor
        given_up = highest + 1 - cursor - CAPACITY
        if given_up > 0:
            self.cursor = cursor
            self.overflowed += given_up
            self.skip_to(cursor + given_up)

    def skip_to(self, cursor: int) -> None:
        """Moves on without what lies before `cursor`."""
        if self.cursor is None or cursor <= self.cursor:
            return
        self._lost_before += cursor - self.cursor
        if cursor - self.cursor > len(self._held):
            self._held = {number: held for number, held in self._held.items() if number >= cursor}
        else:
            deque(map(self._held.pop, range(self.cursor, cursor), repeat(None)), maxlen=0)
        self._release(cursor)

    def _release(self, cursor: int) -> None:
        self.cursor = cursor
        self._scanned = max(self._scanned, cursor)
        self._lowest = max(self._lowest, cursor)
        self._released = True

    # -- out --------------------------------------------------------------------------------------------------

    def pop(self, now: int, deadline: Deadline) -> list[Frame]:
        """Every frame that is whole and next in order, and every one whose deadline has passed."""
        frames: list[Frame] = []
        while True:
            end = self._whole_end()
            if end is not None:
                frames.append(self._take(end))
                continue
            hole = self._hole()
            if hole is None or now < deadline(hole):
                return frames
            self._give_up(now, frames)

    def next_deadline(self, deadline: Deadline) -> int | None:
        """When `pop` will give up the hole in front; None while there is none with something behind it."""
        if self._whole_end() is not None or (hole := self._hole()) is None:
            return None
        return deadline(hole)

    def following(self) -> bytes | None:
        """The payload at the cursor, when it is here: in-band FEC for the frame just given up."""
        return self._payload(self.cursor) if self.cursor in self._held else None

    def _payload(self, number: int) -> bytes:
        data, start, end, *_ = self._held[number]
        return data[start:end]

    def _whole_end(self) -> int | None:
        """One past the last number of the frame at the cursor; None while it is not whole."""
        if self.cursor is None or (first := self._held.get(self.cursor)) is None:
            return None
        at = self._scanned
        while (held := self._held.get(at)) is not None:
            if held[_TIMESTAMP] != first[_TIMESTAMP]:
                return at
            if held[_MARKER] or self._single:
                return at + 1
            at += 1
        self._scanned = at
        return None

    def _hole(self) -> int | None:
        """The RTP timestamp that a hole in front holds up; None when nothing behind it waits. No frame is whole."""
        if self.cursor is None or self._scanned > self.highest:
            return None
        first = self._held.get(self.cursor)
        if first is not None:
            return first[_TIMESTAMP]
        after = self._lowest_held()
        return self._timestamp_before(after, self.cursor) if self._single else self._held[after][_TIMESTAMP]

    def _lowest_held(self) -> int:
        """The lowest number held; there is one."""
        while self._lowest not in self._held:
            self._lowest += 1
        return self._lowest

    def _next_held(self, number: int) -> int | None:
        """The lowest number held that is not below this one."""
        return next((n for n in range(number, self.highest + 1) if n in self._held), None)

    def _timestamp_before(self, after: int, number: int) -> int:
        """Of a missing packet: counted back from the next one that is here, by its duration."""
        step = self._framing.duration(self._payload(after)) or 0
        return self._held[after][_TIMESTAMP] - (after - number) * step

    def _give_up(self, now: int, frames: list[Frame]) -> None:
        """Goes on without the hole in front."""
        assert self.cursor is not None
        if self._single:
            frames.append(self._missing(self.cursor, now))
            return
        first = self.cursor if self.cursor in self._held else self._lowest_held()
        if first > self.cursor and self._framing.begins(self._payload(first)):
            self.skip_to(first)
        else:
            frames.append(self._take(self._damaged_end(first)))

    def _damaged_end(self, at: int) -> int:
        """One past the last number of the frame that `at` (held) belongs to, over the holes inside it."""
        timestamp = self._held[at][_TIMESTAMP]
        while True:
            while (held := self._held.get(at)) is not None and held[_TIMESTAMP] == timestamp:
                at += 1
                if held[_MARKER]:
                    return at
            after = self._next_held(at)
            if held is not None or after is None:
                return at
            if self._held[after][_TIMESTAMP] != timestamp:
                # Its marker never came, so at least one of the missing was its own.
                return after if self._framing.begins(self._payload(after)) else at + 1
            at = after

    def _take(self, end: int) -> Frame:
        assert self.cursor is not None
        rows = [self._held.pop(number, None) for number in range(self.cursor, end)]
        payloads = tuple(None if row is None else row[0][row[1] : row[2]] for row in rows)
        here = [row for row in rows if row is not None]
        arrivals = [row[_ARRIVAL] for row in here]
        return self._frame(end, here[0][_TIMESTAMP], payloads, min(arrivals), max(arrivals))

    def _missing(self, number: int, now: int) -> Frame:
        timestamp = self._timestamp_before(self._lowest_held(), number)
        return self._frame(number + 1, timestamp, (None,), now, now)

    def _frame(self, end: int, timestamp: int, payloads: tuple[bytes | None, ...], first: int, last: int) -> Frame:
        assert self.cursor is not None
        frame = Frame(self.cursor, end, timestamp, payloads, first, last, self._lost_before)
        self._lost_before = 0
        self._release(end)
        return frame


def _rows(packets: Packets) -> Iterator[_Held]:
    """One copy of payloads that lie close together, as those of one read do."""
    starts, ends = packets.payload_offset, packets.payload_offset + packets.payload_length
    columns = [column.tolist() for column in (packets.timestamp, packets.marker, packets.arrival_time)]
    apart = np.flatnonzero((starts[1:] < ends[:-1]) | (starts[1:] > ends[:-1] + _CLOSE)) + 1
    edges = [0, *apart.tolist(), len(starts)]
    data: list[bytes] = []
    memory = packets.buffer.data
    for first, last in pairwise(edges):
        data += [bytes(memory[starts[first] : ends[last - 1]])] * (last - first)
    base = np.repeat(starts[edges[:-1]], np.diff(edges))
    return zip(data, (starts - base).tolist(), (ends - base).tolist(), *columns, strict=True)
