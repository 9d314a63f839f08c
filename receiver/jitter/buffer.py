"""The jitter buffer: packets in by number, frames out in order; a hole is waited for until its deadline.

It knows numbers, RTP timestamps and markers, never clocks: when a frame is due is asked of the function it is handed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

SLOT_SIZE = 1536
"""bytes; a larger payload is kept beside the ring."""
INITIAL_CAPACITY = 512
MAX_CAPACITY = 16_384
_EMPTY = -1

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
        return sum(p is None for p in self.payloads)


class JitterBuffer:
    """Order for one stream. `every_packet_is_a_frame` holds for audio, where a hole becomes frames of its own."""

    def __init__(self, framing: Framing, *, every_packet_is_a_frame: bool) -> None:
        self._framing = framing
        self._single = every_packet_is_a_frame
        self._allocate(INITIAL_CAPACITY)
        self.cursor: int | None = None
        """the lowest number not yet handed out or given up; None before the first packet."""
        self.highest = -1
        self.overflowed = 0
        """numbers given up because the ring was full."""
        self._released = False
        self._scanned = 0
        """every number from the cursor up to here is present and of one frame."""
        self._lost_before = 0
        self._large: dict[int, bytes] = {}
        """payloads that no slot holds, by number."""

    def _allocate(self, capacity: int) -> None:
        self._capacity = capacity
        self._payload = np.empty((capacity, SLOT_SIZE), np.uint8)
        self._size = np.zeros(capacity, np.int64)
        self._sequence = np.full(capacity, _EMPTY, np.int64)
        self._timestamp = np.zeros(capacity, np.int64)
        self._marker = np.zeros(capacity, bool)
        self._arrival = np.zeros(capacity, np.int64)

    def __len__(self) -> int:
        """Numbers between the cursor and the highest one seen."""
        return 0 if self.cursor is None else max(0, self.highest + 1 - self.cursor)

    # -- in ---------------------------------------------------------------------------------------------------

    def insert(self, packets: Packets) -> int:
        """Keeps the packets that can still be used; returns how many came too late for it."""
        if not len(packets):
            return 0
        self._begin(int(packets.sequence.min()))
        assert self.cursor is not None
        late = packets.sequence < self.cursor
        top = int(packets.sequence.max())
        self._make_room(top)
        behind = int(np.count_nonzero(late))
        if behind == len(packets):
            return behind
        self.highest = max(self.highest, top)
        if not behind and self._insert_run(packets):
            return 0
        for i in np.flatnonzero(packets.sequence >= self.cursor):
            self._insert_one(packets, int(i))
        return behind

    def _begin(self, lowest: int) -> None:
        """Until the first frame has left, an overtaken packet may still come before the one that came first."""
        if self.cursor is None or (not self._released and lowest < self.cursor):
            self.cursor, self._scanned = lowest, 0

    def expect(self, first: int) -> None:
        """The sender says that its numbers begin here: wait for `first` as for any hole."""
        if not self._released:
            self.cursor, self._scanned = first, 0

    def _insert_run(self, packets: Packets) -> bool:
        """One copy for packets that follow each other in number, size and place."""
        n = len(packets)
        first, length = int(packets.sequence[0]), int(packets.payload_length[0])
        slot = first % self._capacity
        if n < 4 or length > SLOT_SIZE or slot + n > self._capacity or int(packets.sequence[-1]) - first != n - 1:
            return False
        stride = int(packets.payload_offset[1] - packets.payload_offset[0])
        if not (
            (np.diff(packets.sequence) == 1).all()
            and (packets.payload_length == length).all()
            and (np.diff(packets.payload_offset) == stride).all()
            and stride > 0
        ):
            return False
        start = int(packets.payload_offset[0])
        source = np.ndarray((n, length), np.uint8, packets.buffer, start, (stride, 1))
        into = slice(slot, slot + n)
        self._payload[into, :length] = source
        self._size[into] = length
        self._sequence[into] = packets.sequence
        self._timestamp[into] = packets.timestamp
        self._marker[into] = packets.marker
        self._arrival[into] = packets.arrival_time
        return True

    def _insert_one(self, packets: Packets, i: int) -> None:
        sequence, length = int(packets.sequence[i]), int(packets.payload_length[i])
        start = int(packets.payload_offset[i])
        slot = sequence % self._capacity
        data = packets.buffer[start : start + length]
        if length > SLOT_SIZE:
            self._large[sequence] = data.tobytes()
        else:
            self._payload[slot, :length] = data
        self._size[slot] = length
        self._sequence[slot] = sequence
        self._timestamp[slot] = packets.timestamp[i]
        self._marker[slot] = packets.marker[i]
        self._arrival[slot] = packets.arrival_time[i]

    def _make_room(self, top: int) -> None:
        """Grows the ring so that `top` fits; past its bound the oldest numbers are given up."""
        assert self.cursor is not None
        needed = top + 1 - self.cursor
        if needed <= self._capacity:
            return
        if self._capacity < MAX_CAPACITY:
            self._grow(min(MAX_CAPACITY, max(2 * self._capacity, 1 << (needed - 1).bit_length())))
        if needed > self._capacity:
            given_up = needed - self._capacity
            self.overflowed += given_up
            self.skip_to(self.cursor + given_up)

    def _grow(self, capacity: int) -> None:
        old = (self._payload, self._size, self._sequence, self._timestamp, self._marker, self._arrival)
        filled = np.flatnonzero(self._sequence != _EMPTY)
        slots = self._sequence[filled] % capacity
        self._allocate(capacity)
        new = (self._payload, self._size, self._sequence, self._timestamp, self._marker, self._arrival)
        target: NDArray[Any]
        source: NDArray[Any]
        for target, source in zip(new, old, strict=True):
            target[slots] = source[filled]

    def skip_to(self, cursor: int) -> None:
        """Moves on without what lies before `cursor`."""
        if self.cursor is None or cursor <= self.cursor:
            return
        self._lost_before += cursor - self.cursor
        self._release(cursor)

    def _release(self, cursor: int) -> None:
        assert self.cursor is not None
        if self._large:
            for number in [n for n in self._large if n < cursor]:
                del self._large[number]
        self.cursor = cursor
        self._released = True

    # -- out --------------------------------------------------------------------------------------------------

    def pop(self, now: int, deadline: Deadline) -> list[Frame]:
        """Every frame that is whole and next in order, and every one whose deadline has passed."""
        frames: list[Frame] = []
        while (frame := self._next(now, deadline)) is not None:
            frames.extend(frame)
        return frames

    def next_deadline(self, deadline: Deadline) -> int | None:
        """When `pop` will give up the hole in front; None while there is none with something behind it."""
        hole = self._front_hole()
        return None if hole is None else deadline(hole)

    def _has(self, sequence: int) -> bool:
        return bool(self._sequence[sequence % self._capacity] == sequence)

    def _next_present(self, sequence: int) -> int | None:
        """The lowest number >= sequence that is here."""
        for start in range(sequence, self.highest + 1, 64):
            numbers = np.arange(start, min(start + 64, self.highest + 1))
            here = np.flatnonzero(self._sequence[numbers % self._capacity] == numbers)
            if len(here):
                return start + int(here[0])
        return None

    def _run_end(self) -> tuple[int, bool]:
        """(one past the last consecutive number of the frame at the cursor, whether the frame ends there)."""
        assert self.cursor is not None
        timestamp = self._timestamp[self.cursor % self._capacity]
        at = max(self.cursor, self._scanned)
        while at <= self.highest:
            numbers = np.arange(at, min(at + 64, self.highest + 1))
            slots = numbers % self._capacity
            alike = (self._sequence[slots] == numbers) & (self._timestamp[slots] == timestamp)
            run = len(alike) if alike.all() else int(np.argmin(alike))
            markers = np.flatnonzero(self._marker[slots[:run]])
            self._scanned = at + (int(markers[0]) if len(markers) else run)
            if len(markers):
                return self._scanned + 1, True
            at = self._scanned
            if run < len(alike):
                return at, self._has(at)
        return at, False

    def _front_hole(self) -> int | None:
        """The RTP timestamp that the hole in front holds up; None when nothing behind it waits."""
        if self.cursor is None or self.cursor > self.highest:
            return None
        if self._has(self.cursor):
            if self._single:
                return None
            end, whole = self._run_end()
            if whole or end > self.highest:
                return None
            return int(self._timestamp[self.cursor % self._capacity])
        after = self._next_present(self.cursor)
        if after is None:
            return None
        if self._single:
            return self._timestamp_before(after, self.cursor)
        return int(self._timestamp[after % self._capacity])

    def _next(self, now: int, deadline: Deadline) -> list[Frame] | None:
        """The frames at the cursor (none: something was given up and the next look may find one), or None to wait."""
        if self.cursor is None or self.cursor > self.highest:
            return None
        if self._has(self.cursor) and not self._headless():
            end, whole = (self.cursor + 1, True) if self._single else self._run_end()
            if whole:
                return [self._take(end)]
        hole = self._front_hole()
        if hole is None or now < deadline(hole):
            return None
        return self._give_up(now)

    def _headless(self) -> bool:
        """The first packet to come is not the first of its frame: a hole of at least one number lies before it."""
        assert self.cursor is not None
        if self._released or self._single or self._framing.begins(self._data(self.cursor)):
            return False
        self.cursor, self._scanned = self.cursor - 1, 0
        return True

    def _give_up(self, now: int) -> list[Frame]:
        """Goes on without the hole in front."""
        assert self.cursor is not None
        if self._single:
            return [self._missing(self.cursor, now)]
        if not self._has(self.cursor):
            after = self._next_present(self.cursor)
            assert after is not None
            if self._framing.begins(self._data(after)):
                self.skip_to(after)
                return []
            return [self._take(self._damaged_end(after))]
        return [self._take(self._damaged_end(self.cursor))]

    def _damaged_end(self, at: int) -> int:
        """One past the last number of the frame that `at` (present) belongs to, over the holes inside it."""
        timestamp = self._timestamp[at % self._capacity]
        while True:
            while self._has(at) and self._timestamp[at % self._capacity] == timestamp:
                at += 1
                if self._marker[(at - 1) % self._capacity]:
                    return at
            if self._has(at):
                return at
            after = self._next_present(at)
            if after is None:
                return at
            if self._timestamp[after % self._capacity] != timestamp:
                # Its marker never came, so at least one of the missing was its own.
                return after if self._framing.begins(self._data(after)) else at + 1
            at = after

    def _take(self, end: int) -> Frame:
        assert self.cursor is not None
        first, capacity = self.cursor, self._capacity
        numbers = np.arange(first, end)
        slots = numbers % capacity
        here = self._sequence[slots] == numbers
        arrivals = self._arrival[slots[here]]
        payloads = tuple(self._data(int(n)) if ok else None for n, ok in zip(numbers, here, strict=True))
        timestamp = int(self._timestamp[slots[int(np.argmax(here))]])
        frame = Frame(first, end, timestamp, payloads, int(arrivals.min()), int(arrivals.max()), self._lost_before)
        self._lost_before = 0
        self._release(end)
        return frame

    def _missing(self, number: int, now: int) -> Frame:
        after = self._next_present(number)
        assert after is not None
        frame = Frame(number, number + 1, self._timestamp_before(after, number), (None,), now, now, self._lost_before)
        self._lost_before = 0
        self._release(number + 1)
        return frame

    def _timestamp_before(self, after: int, number: int) -> int:
        """Of a missing packet: counted back from the next one that is here, by its duration."""
        step = self._framing.duration(self._data(after)) or 0
        return int(self._timestamp[after % self._capacity]) - (after - number) * step

    def following(self) -> bytes | None:
        """The payload at the cursor, when it is here: in-band FEC for the frame just given up."""
        if self.cursor is None or not self._has(self.cursor):
            return None
        return self._data(self.cursor)

    def _data(self, sequence: int) -> bytes:
        slot = sequence % self._capacity
        size = int(self._size[slot])
        return self._large[sequence] if size > SLOT_SIZE else self._payload[slot, :size].tobytes()

    def waiting(self) -> Iterator[int]:
        """The numbers missing between the cursor and the highest one seen, lowest first."""
        if self.cursor is not None:
            numbers = np.arange(self.cursor, self.highest + 1)
            yield from (int(n) for n in numbers[self._sequence[numbers % self._capacity] != numbers])
