"""When the next packet is overdue: what is lost at the end of a frame is missed before the next frame shows it. ns."""

from __future__ import annotations

import math

from receiver.repair.nack_timing import MILLISECOND

_FRAMES = 16
"""in a row that keep to a rhythm, or end with a marker, before anything is expected of that."""
_SLACK = 2 * MILLISECOND
_LONGEST = 200 * MILLISECOND
"""between frames, to speak of a rhythm."""
_FORESEEN = 3
"""frames that are missed by it."""


class Cadence:
    """Follows the newest packet of a stream: its frame's end (marker) and the frames' rhythm by their timestamps."""

    def __init__(self, clock_rate: int, *, every_packet_is_a_frame: bool) -> None:
        self._tick = 1e9 / clock_rate
        self._single = every_packet_is_a_frame
        self._frames = 0
        """that kept to the rhythm, in a row."""
        self._unmarked = 0
        """frames to come until markers are believed."""
        self._timestamp: int | None = None
        """of the newest frame."""
        self._interval = 0
        """ticks from one frame to the next,"""
        self._packets = 1.0
        """and packets."""
        self._number = 0
        """of the newest frame's first packet."""
        self._frame = self._newest = 0
        """when the newest frame's first packet came, and the newest packet."""
        self._whole = False
        """the newest packet has the marker."""
        self._gap = self._late = 0
        """the longest lately: between packets of one frame, and that a frame came later than the one before let expect;
        forgotten slowly."""

    def came(self, number: int, timestamp: int, marker: bool, arrival: int, *, follows: bool) -> None:
        """The packet of the highest number so far; `follows`: the one before it was the highest until now."""
        if timestamp == self._timestamp:
            self._gap = max(arrival - self._newest, self._gap - (self._gap >> 8))
        else:
            self._unmarked = _FRAMES if follows and not self._whole else max(0, self._unmarked - 1)
            self._begin(number, timestamp, arrival, follows)
        self._newest, self._whole = arrival, marker or self._single

    def repaired(self, number: int, timestamp: int, marker: bool, now: int) -> None:
        """The same of a retransmission, which says nothing about rhythm: what comes next is due already."""
        if self._timestamp is not None and timestamp != self._timestamp:
            self._frame += int((timestamp - self._timestamp) * self._tick)
            self._timestamp, self._number = timestamp, number
        self._newest, self._whole = now - self._gap, marker or self._single

    def _begin(self, number: int, timestamp: int, arrival: int, follows: bool) -> None:
        if self._timestamp is not None:
            ticks = timestamp - self._timestamp
            late = arrival - self._frame - int(ticks * self._tick)
            self._late = max(late, self._late - (self._late >> 6))
            frames = 1 if follows or not self._interval else max(1, round(ticks / self._interval))
            regular = 4 * abs(ticks - frames * self._interval) <= self._interval
            self._frames = self._frames + 1 if regular else 0
            self._interval = ticks // frames if regular else ticks
            self._packets += ((number - self._number) / frames - self._packets) / _FRAMES
        self._number = number
        self._timestamp, self._frame = timestamp, arrival

    @property
    def whole(self) -> bool:
        """The newest packet was the last of its frame."""
        return self._whole

    def overdue(self, ahead: int = 1) -> tuple[int, int] | None:
        """When the packet so far after the newest is late, and its timestamp as far as can be said; None: nobody can
        say. Of frames that are late as a whole, the usual number of packets is."""
        if self._timestamp is None:
            return None
        if not self._whole:
            if self._unmarked:
                return None
            if ahead == 1:
                return self._newest + self._gap + _SLACK, self._timestamp
            ahead -= 1
        frames = 1 + (ahead - 1) // max(1, math.ceil(self._packets))
        notice = self.notice
        if notice is None or frames > _FORESEEN:
            return None
        ticks = frames * self._interval
        return self._frame + int(ticks * self._tick) + notice, self._timestamp + ticks

    @property
    def notice(self) -> int | None:
        """ns after a frame should have begun until it is late; None: there is no rhythm."""
        steady = self._frames >= _FRAMES and 0 < int(self._interval * self._tick) < _LONGEST
        return self._late + _SLACK if steady else None
