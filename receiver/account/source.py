"""Which numbering a packet belongs to, and its place there: extended sequence numbers and timestamps, and epochs.

An SSRC becomes a stream once two of its packets have consecutive numbers (RFC 3550 A.1, MIN_SEQUENTIAL 2). Until then
packets are kept here, as copies; the second usually lies in the same batch, so nothing is delayed, and nothing is
lost: all that belong to the stream come out with the packet that confirms it, with their own arrival times.

A number that is no small step from the newest is judged by time. Where the RTP clock went on as far as the local one
(or, for a jump of the RTP clock too, where the step fits the time that passed), the numbers between were lost, however
many; whole cycles hidden in the gap are found from the packet rate. Otherwise the packet waits like one of a new
source, and two consecutive such packets start a new epoch, once the present one is silent: two senders that took the
same SSRC are not two epochs in turn, but one stream and packets that belong to none (RFC 3550 §8.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from protocol.rtp import Headers
from protocol.serial import difference

MAX_DROPOUT = 3000
"""RFC 3550 A.1: numbers a step forward may span without asking how long it took, if the clocks agree."""
_SMALL_STEP = 100
"""numbers a step forward may span whatever the clocks say."""
_SECOND = 1_000_000_000
_OLDEST = 3 * _SECOND
"""media time by which a reordered packet may trail the newest."""
_CANDIDATES, _CANDIDATES_WITHIN = 64, 256
"""packets that wait before the first epoch; later, where they do until the present one is silent."""
_SILENT = _SECOND // 5
"""without packets of the present epoch, or three of its packet intervals, before another begins; a goodbye aside."""
_SCALAR = 4
_RATE_SPAN = 4 * _SECOND


class Segment(NamedTuple):
    """Packets of one epoch, in the order of their arrival; all arrays of shape (n,)."""

    epoch: int
    headers: Headers
    """`payload_offset` counts from the start of `buffer`."""
    buffer: NDArray[np.uint8]
    """the batch's own, or, of packets that had to wait, a copy."""
    arrival_times: NDArray[np.int64]
    """monotonic ns."""
    extended: NDArray[np.int64]
    """extended sequence numbers; the first cycle of an epoch is number 1, so that earlier ones stay positive."""
    timestamps: NDArray[np.int64]
    """RTP ticks, unwrapped, from cycle 1 in the same way."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    sequence: int
    timestamp: int
    arrival: int
    headers: Headers
    """one row; its payload lies at offset 0 of `payload`."""
    payload: NDArray[np.uint8]


class SourceTracker:
    """Follows one SSRC. `clock_rate` in Hz is the RTP clock's."""

    def __init__(self, clock_rate: int) -> None:
        self.epoch = -1
        """-1 until two consecutive packets came."""
        self.unconfirmed = 0
        """packets that never belonged to a confirmed numbering and are forgotten."""
        self._tick = _SECOND / clock_rate
        self._near = clock_rate // 2
        self._candidates: list[_Candidate] = []
        self._newest = self._timestamp = self._arrival = 0
        self._heard = 0
        """when the last packet of this epoch came."""
        self._rate = 0.0
        self._anchor = (0, 0)
        self._assigned = 0
        self._ended = False
        self._last_report: tuple[int, int] | None = None

    @property
    def confirmed(self) -> bool:
        return self.epoch >= 0

    @property
    def reached(self) -> tuple[int, int]:
        """The epoch, and the highest extended number that came of it."""
        return self.epoch, self._newest

    @property
    def waiting(self) -> int:
        """Packets kept that belong to no numbering yet."""
        return len(self._candidates)

    def track(self, headers: Headers, arrival_times: NDArray[np.int64], buffer: NDArray[np.uint8]) -> list[Segment]:
        """The packets of this SSRC in a batch (good rows only), shapes (n,): what can be accounted for now.

        Usually one segment that is the batch itself; more around the start of an epoch.
        """
        if len(headers) == 1 and (one := self._track_one(headers, arrival_times, buffer)) is not None:
            return [one]
        segments: list[Segment] = []
        while len(headers) > _SCALAR:
            near = self._track_near(headers, arrival_times, buffer)
            done = _SCALAR if near is None else len(near.headers)
            if near is not None:
                segments.append(near)
            else:  # a beginning, or the far side of a gap: what follows is near again
                segments += self._track_each(headers.select(slice(done)), arrival_times[:done], buffer)
            if done == len(headers):
                return segments
            headers, arrival_times = headers.select(slice(done, None)), arrival_times[done:]
        return segments + self._track_each(headers, arrival_times, buffer)

    def sender_range(self, last: int) -> None:
        """The sender had assigned this extended number (ours, see Ledger.set_range): resolves cycles in a gap."""
        self._assigned = max(self._assigned, last)

    def sender_report(self, ntp_timestamp: int, packet_count: int) -> None:
        """A sender's packet count that falls in a later SR is a restart (RFC 3550 §6.4.1)."""
        if self._last_report is not None:
            ntp, count = self._last_report
            if ntp_timestamp <= ntp:
                return
            if difference(packet_count, count, 32) < 0:
                self.end_epoch()
        self._last_report = (ntp_timestamp, packet_count)

    def end_epoch(self) -> None:
        """BYE, or a restart: only stragglers still belong to this epoch; two consecutive others begin the next."""
        self._ended = True

    # The common case: everything close to the newest packet

    def _track_near(
        self, headers: Headers, arrival_times: NDArray[np.int64], buffer: NDArray[np.uint8]
    ) -> Segment | None:
        """The first of them, up to one that needs to be judged, at once; None where those are few."""
        if self.epoch < 0 or self._ended or self._assigned - self._newest > MAX_DROPOUT:
            return None
        steps = (headers.sequence_number - np.uint16(self._newest & 0xFFFF)).view(np.int16).astype(np.int64)
        ticks = (headers.timestamp - np.uint32(self._timestamp & 0xFFFF_FFFF)).view(np.int32).astype(np.int64)
        near = (np.abs(steps) <= MAX_DROPOUT) & (np.abs(ticks) <= self._near)
        near &= arrival_times - self._arrival <= _SECOND // 2
        if not near.all():
            count = int(near.argmin())
            if count <= _SCALAR:
                return None
            headers, arrival_times = headers.select(slice(count)), arrival_times[:count]
            steps, ticks = steps[:count], ticks[:count]
        extended, timestamps = self._newest + steps, self._timestamp + ticks
        self._heard = int(arrival_times[-1])
        row = int(extended.argmax())
        if extended[row] > self._newest:
            self._advance(int(extended[row]), int(timestamps[row]), int(arrival_times[row]))
        return Segment(self.epoch, headers, buffer, arrival_times, extended, timestamps)

    def _track_one(
        self, headers: Headers, arrival_times: NDArray[np.int64], buffer: NDArray[np.uint8]
    ) -> Segment | None:
        """A packet that came alone; None where it needs to be judged."""
        place = self.track_one(headers.sequence_number.item(), headers.timestamp.item(), arrival_times.item())
        if place is None:
            return None
        number, timestamp = place
        return Segment(self.epoch, headers, buffer, arrival_times, np.array([number]), np.array([timestamp]))

    def track_one(self, sequence: int, timestamp: int, arrival: int) -> tuple[int, int] | None:
        """Extended number and timestamp of a packet (times in monotonic ns) that is close to the newest one of the
        present epoch: the common case. None where it needs to be judged: `track` does that."""
        if self.epoch < 0 or self._ended or self._assigned - self._newest > MAX_DROPOUT:
            return None
        step = (sequence - self._newest + 0x8000 & 0xFFFF) - 0x8000
        ticks = (timestamp - self._timestamp + 0x8000_0000 & 0xFFFF_FFFF) - 0x8000_0000
        near = -MAX_DROPOUT <= step <= MAX_DROPOUT and -self._near <= ticks <= self._near
        if not near or arrival - self._arrival > _SECOND // 2:
            return None
        self._heard = arrival
        number, timestamp = self._newest + step, self._timestamp + ticks
        if step > 0:
            self._advance(number, timestamp, arrival)
        return number, timestamp

    # One packet at a time

    def _track_each(
        self, headers: Headers, arrival_times: NDArray[np.int64], buffer: NDArray[np.uint8]
    ) -> list[Segment]:
        segments: list[Segment] = []
        rows: list[int] = []
        places: list[tuple[int, int]] = []

        def flush() -> None:
            if rows:
                segments.append(_segment(self.epoch, headers, arrival_times, buffer, rows, places))
                rows.clear()
                places.clear()

        columns = zip(headers.sequence_number.tolist(), headers.timestamp.tolist(), arrival_times.tolist(), strict=True)
        for row, (sequence, timestamp, arrival) in enumerate(columns):
            place = self._place(sequence, timestamp, arrival)
            if place is None and self._confirms(sequence, timestamp, arrival):
                flush()
                self._begin_epoch(sequence, arrival)
                segments.extend(self._release())
                place = self._place(sequence, timestamp, arrival)
            if place is None:
                self._keep(_Candidate(sequence, timestamp, arrival, *_copy(headers, buffer, row)))
            else:
                rows.append(row)
                places.append(place)
        flush()
        return segments

    def _place(self, sequence: int, timestamp: int, arrival: int) -> tuple[int, int] | None:
        """Extended number and timestamp in this epoch, or None where both clocks contradict the number."""
        if self.epoch < 0:
            return None
        ticks = difference(timestamp, self._timestamp & 0xFFFF_FFFF, 32)
        step = self._step(sequence, ticks, ticks * self._tick, max(0, arrival - self._arrival))
        if step is None or (self._ended and step > 0):
            return None
        self._heard = arrival
        place = self._newest + step, self._timestamp + ticks
        if step > 0:
            self._advance(*place, arrival)
        return place

    def _step(self, sequence: int, ticks: int, media_time: float, elapsed: int) -> int | None:
        """Numbers from the newest packet to this one; None where that cannot be."""
        clocks_agree = abs(media_time - elapsed) <= _SECOND + elapsed // 4
        behind = max(0, self._assigned - self._newest) if clocks_agree else 0
        step = difference(sequence, self._newest & 0xFFFF, 16)
        if 0 < step <= _SMALL_STEP and behind < 1 << 15:
            return step  # a pause is likelier than a loss of whole cycles
        if -_OLDEST <= media_time <= _SECOND and step <= 0 and abs(self._rate * ticks) < 1 << 15 and behind < 1 << 15:
            return step
        expected = self._rate * (ticks if clocks_agree else elapsed / self._tick)
        if clocks_agree:
            expected = max(expected, behind)
        forward = (sequence - self._newest) & 0xFFFF
        forward += max(0, round((expected - forward) / 65536)) << 16
        if clocks_agree:
            known = MAX_DROPOUT if self._rate else 1 << 15
            fits = forward <= known or abs(forward - expected) <= MAX_DROPOUT + expected / 2
        else:  # random numbers fit a long time by accident, so the local clock alone is trusted for short ones only
            fits = expected <= MAX_DROPOUT and abs(forward - expected) <= _SMALL_STEP + expected / 4
        return forward if fits else None

    def _advance(self, number: int, timestamp: int, arrival: int) -> None:
        self._newest, self._timestamp, self._arrival = number, timestamp, arrival
        ticks = timestamp - self._anchor[1]
        media_time = ticks * self._tick
        if media_time >= _RATE_SPAN or (media_time > _SECOND / 10 and not self._rate):
            self._rate = (number - self._anchor[0]) / ticks
            self._anchor = number, timestamp
        elif ticks < 0:
            self._anchor = number, timestamp

    # Probation

    def _confirms(self, sequence: int, timestamp: int, arrival: int) -> bool:
        """Whether a packet that waits has the number before or after, at about the same time."""
        return self._is_silent(arrival) and any(
            abs(difference(sequence, held.sequence, 16)) == 1
            and self._clocks_agree(difference(timestamp, held.timestamp, 32), arrival - held.arrival)
            for held in self._candidates
        )

    def _is_silent(self, now: int) -> bool:
        """Whether another epoch may take the place of this one."""
        interval = self._tick / self._rate if self._rate else 0
        return self.epoch < 0 or self._ended or now - self._heard >= max(_SILENT, min(3 * interval, 10 * _SILENT))

    def _clocks_agree(self, ticks: int, elapsed: int) -> bool:
        return abs(ticks * self._tick - elapsed) <= _SECOND + abs(elapsed) // 4

    def _begin_epoch(self, sequence: int, arrival: int) -> None:
        """The lower of the two consecutive numbers becomes the first reference."""
        neighbours = [held for held in self._candidates if abs(difference(sequence, held.sequence, 16)) == 1]
        first = min(neighbours, key=lambda held: difference(held.sequence, sequence, 16))
        self.epoch += 1
        self._newest = (1 << 16) + first.sequence
        self._timestamp = (1 << 32) + first.timestamp
        self._arrival = self._heard = min(first.arrival, arrival)
        self._anchor = self._newest, self._timestamp
        self._rate, self._assigned = 0.0, 0
        self._ended, self._last_report = False, None

    def _release(self) -> list[Segment]:
        """Those kept that belong to the new epoch, one segment; the others go on waiting."""
        candidates, self._candidates = self._candidates, []
        belonging: list[tuple[_Candidate, tuple[int, int]]] = []
        for held in candidates:
            place = self._place(held.sequence, held.timestamp, held.arrival) or self._place_before(held)
            if place is None:
                self._candidates.append(held)
            else:
                belonging.append((held, place))
        return [_joined(self.epoch, belonging)] if belonging else []

    def _place_before(self, held: _Candidate) -> tuple[int, int] | None:
        """Of a packet that waited so long that it is old, but not by both clocks."""
        ticks = difference(held.timestamp, self._timestamp & 0xFFFF_FFFF, 32)
        step = difference(held.sequence, self._newest & 0xFFFF, 16)
        fits = -MAX_DROPOUT <= step < 0 and self._clocks_agree(ticks, held.arrival - self._arrival)
        return (self._newest + step, self._timestamp + ticks) if fits else None

    def _keep(self, candidate: _Candidate) -> None:
        if len(self._candidates) >= (_CANDIDATES if self.epoch < 0 else _CANDIDATES_WITHIN):
            del self._candidates[0]
            self.unconfirmed += 1
        self._candidates.append(candidate)


def _segment(
    epoch: int,
    headers: Headers,
    arrival_times: NDArray[np.int64],
    buffer: NDArray[np.uint8],
    rows: list[int],
    places: list[tuple[int, int]],
) -> Segment:
    table = np.array(places, np.int64)
    if len(rows) < len(headers):
        index = np.array(rows, np.int64)
        headers, arrival_times = headers.select(index), arrival_times[index]
    return Segment(epoch, headers, buffer, arrival_times, table[:, 0], table[:, 1])


def _copy(headers: Headers, buffer: NDArray[np.uint8], row: int) -> tuple[Headers, NDArray[np.uint8]]:
    one = headers.select(slice(row, row + 1))
    start = int(one.payload_offset[0])
    payload = buffer[start : start + int(one.payload_length[0])].copy()
    return Headers(*(np.array(getattr(one, name)) for name in Headers.__slots__)), payload


def _joined(epoch: int, packets: list[tuple[_Candidate, tuple[int, int]]]) -> Segment:
    columns = {name: np.concatenate([getattr(held.headers, name) for held, _ in packets]) for name in Headers.__slots__}
    columns["payload_offset"] = np.cumsum(columns["payload_length"]) - columns["payload_length"]
    table = np.array([place for _, place in packets], np.int64)
    return Segment(
        epoch,
        Headers(**columns),
        np.concatenate([held.payload for held, _ in packets]),
        np.array([held.arrival for held, _ in packets], np.int64),
        table[:, 0],
        table[:, 1],
    )
