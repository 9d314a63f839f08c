"""The jitter buffer: packets in by number, frames out in order; a hole is waited for until its deadline.

It knows numbers, RTP timestamps and markers, never clocks: when a frame is due is asked of the function it is handed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from receiver.jitter.runs import Packets as Packets
from receiver.jitter.runs import Row, Runs

CAPACITY = 16_384
"""numbers between the cursor and the highest one held."""

Deadline = Callable[[int], int]
"""RTP timestamp (unwrapped) -> monotonic ns after which a frame that is not whole is given up."""


class Framing(Protocol):
    """What a payload says of its frame; protocol.payload's depacketizers have it."""

    def begins(self, payload: bytes) -> bool: ...

    def duration(self, payload: bytes) -> int | None: ...


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


class JitterBuffer:
    """Order for one stream. `every_packet_is_a_frame` holds for audio, where a hole becomes frames of its own."""

    def __init__(self, framing: Framing, *, every_packet_is_a_frame: bool) -> None:
        self._framing = framing
        self._single = every_packet_is_a_frame
        self._held = Runs()
        self.cursor: int | None = None
        """the lowest number not yet handed out or given up; None before the first packet."""
        self.highest = -1
        self.overflowed = 0
        """numbers given up because more than CAPACITY would have had to wait."""
        self._released = False
        self._scanned = 0
        """numbers from the cursor to below this one are held, of one frame, and none of them has the marker."""
        self._lost_before = 0
        self._looked = False
        """that no frame is whole, and what is held up, is known since the last packet came."""
        self._held_up: int | None = None
        """what `_hole` found then."""

    # -- in ---------------------------------------------------------------------------------------------------

    def insert(self, packets: Packets) -> int:
        """Keeps the packets that can still be used; returns how many came too late for it."""
        if not len(packets):
            return 0
        numbers = packets.sequence.tolist()
        lowest, highest = min(numbers), max(numbers)
        self._make_room(lowest, highest)
        if self._released and self.cursor is not None and lowest < self.cursor:
            in_time = packets.sequence >= self.cursor
            return int(np.count_nonzero(~in_time)) + self.insert(packets.select(in_time))
        earliest = self._held.lowest(0)
        self._held.add(packets)
        self._looked = False
        self.highest = max(self.highest, highest)
        if not self._released and (earliest is None or lowest < earliest):
            self._begin(lowest)
        return 0

    def _begin(self, lowest: int) -> None:
        """Until the first frame has left, an overtaken packet may still come before the one that came first. Where
        the lowest is not the first of its frame, there is a hole of at least one number before it."""
        headless = not self._single and not self._framing.begins(self._payload(lowest))
        self.cursor = self._scanned = lowest - headless

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
        self._release(cursor)

    def _release(self, cursor: int) -> None:
        self.cursor = cursor
        self._held.forget_below(cursor)
        self._scanned = max(self._scanned, cursor)
        self._released, self._looked = True, False

    # -- out --------------------------------------------------------------------------------------------------

    def pop(self, now: int, deadline: Deadline) -> list[Frame]:
        """Every frame that is whole and next in order, and every one whose deadline has passed."""
        frames: list[Frame] = []
        while True:
            end = self._whole_end()
            if end is not None:
                frames.append(self._take(end))
                continue
            if self._held_up is None or now < deadline(self._held_up):
                return frames
            self._give_up(now, frames)

    def take_whole(self) -> list[tuple[int, int, int]]:
        """As `pop`, of those that are whole and next in order, for a stream that nobody plays: RTP timestamp, first
        and last arrival of each."""
        if self._looked or self.cursor is None:
            return []
        timestamps, markers, times = self._held.stretch(self.cursor)
        last = markers.copy()
        last[:-1] |= timestamps[1:] != timestamps[:-1]
        ends = np.flatnonzero(last) + 1
        whole = int(ends[-1]) if len(ends) else 0
        self._scanned = self.cursor + len(timestamps)
        if whole:
            starts, arrivals = np.concatenate(([0], ends[:-1])), times[:whole]
            firsts, lasts = np.minimum.reduceat(arrivals, starts), np.maximum.reduceat(arrivals, starts)
            self._lost_before = 0
            self._release(self.cursor + whole)
        self._looked = True
        if whole == len(timestamps) or self._scanned > self.highest:
            self._held_up = self._hole()
        else:
            self._held_up = int(timestamps[whole])
        return [*zip(timestamps[starts].tolist(), firsts.tolist(), lasts.tolist(), strict=True)] if whole else []

    def next_deadline(self, deadline: Deadline) -> int | None:
        """When `pop` will give up the hole in front; None while there is none with something behind it."""
        if self._whole_end() is not None or self._held_up is None:
            return None
        return deadline(self._held_up)

    def first_missing(self) -> int | None:
        """The lowest number that is not here and not given up; None before the first packet."""
        if self.cursor is None:
            return None
        number = self.cursor
        for _ in self._held.consecutive(number):
            number += 1
        return number

    def following(self) -> bytes | None:
        """The payload at the cursor, when it is here: in-band FEC for the frame just given up."""
        row = None if self.cursor is None else self._held.get(self.cursor)
        return None if row is None else row.payload

    def _row(self, number: int) -> Row:
        """Of a number that is held."""
        row = self._held.get(number)
        assert row is not None
        return row

    def _payload(self, number: int) -> bytes:
        return self._row(number).payload

    def _whole_end(self) -> int | None:
        """One past the last number of the frame at the cursor; None while it is not whole: `_held_up` is known then."""
        if self._looked:
            return None
        end = self._find_end()
        if end is None:
            self._looked, self._held_up = True, self._hole()
        return end

    def _find_end(self) -> int | None:
        if self.cursor is None or (first := self._held.get(self.cursor)) is None:
            return None
        end = self._scanned
        for row in self._held.consecutive(end):
            if row.timestamp != first.timestamp:
                return end
            end += 1
            if row.marker or self._single:
                return end
        self._scanned = end
        return None

    def _hole(self) -> int | None:
        """The RTP timestamp that a hole in front holds up; None when nothing behind it waits. No frame is whole."""
        if self.cursor is None or self._scanned > self.highest:
            return None
        first = self._held.get(self.cursor)
        if first is not None:
            return first.timestamp
        after = self._lowest_held()
        return self._timestamp_before(after, self.cursor) if self._single else self._row(after).timestamp

    def _lowest_held(self) -> int:
        """The lowest number held from the cursor on; there is one."""
        assert self.cursor is not None
        lowest = self._held.lowest(self.cursor)
        assert lowest is not None
        return lowest

    def _timestamp_before(self, after: int, number: int) -> int:
        """Of a missing packet: counted back from the next one that is here, by its duration."""
        step = self._framing.duration(self._payload(after)) or 0
        return self._row(after).timestamp - (after - number) * step

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
        timestamp = self._row(at).timestamp
        while True:
            for row in self._held.consecutive(at):
                if row.timestamp != timestamp:
                    return at
                at += 1
                if row.marker:
                    return at
            after = self._held.lowest(at)
            if after is None:
                return at
            if self._row(after).timestamp != timestamp:
                # Its marker never came, so at least one of the missing was its own.
                return after if self._framing.begins(self._payload(after)) else at + 1
            at = after

    def _take(self, end: int) -> Frame:
        assert self.cursor is not None
        rows = self._held.between(self.cursor, end)
        payloads = tuple(None if row is None else row.payload for row in rows)
        here = [row for row in rows if row is not None]
        arrivals = [row.arrival_time for row in here]
        return self._frame(end, here[0].timestamp, payloads, min(arrivals), max(arrivals))

    def _missing(self, number: int, now: int) -> Frame:
        timestamp = self._timestamp_before(self._lowest_held(), number)
        return self._frame(number + 1, timestamp, (None,), now, now)

    def _frame(self, end: int, timestamp: int, payloads: tuple[bytes | None, ...], first: int, last: int) -> Frame:
        assert self.cursor is not None
        frame = Frame(self.cursor, end, timestamp, payloads, first, last, self._lost_before)
        self._lost_before = 0
        self._release(end)
        return frame
