"""Answers to NACKs (RFC 4585) with retransmissions (RFC 4588), of one stream: never more than its budget allows.

A request is answered with one packet the first time (under heavy loss sometimes with two), with two the second time and
three from then on, a little apart: whoever asks again has lost the answer, and has no time for many rounds. What left
so recently that nobody can have missed it yet is not sent again: requests come in several copies, and some guess.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass

from protocol import rtx
from sender.snapshot import RepairStatistics
from sender.transmit.history import History
from sender.transmit.pacer import BURST

SHARE = 0.5
"""of the media's bit-rate that may go into answers, as long as requests come."""
LIMITED_SHARE = 0.1
"""the same while the path is full: what was lost was too much already."""
FLOOR = 32_000
"""octets that may be answered in a row, however slow the media."""
LOOKS = 5000
"""requested numbers that are looked at, in a row and in a second; of a flood, the rest."""
_SAVED = 500_000_000
"""ns of the share that can be saved up."""
_COPIES = 3
_APART = 15_000_000
"""ns between copies, so that what loses one does not lose all: longer than most bursts."""
_BURST_GAP = 2_000_000
"""ns between bursts of answers."""
_UNKNOWN = 15_000_000
"""ns within which a request is a copy of the one before, while no round trip is known."""
_HEAVY, _DOUBLED = 0.06, 8.0
"""loss of answers above which some are doubled at once, and the share of them for each part of loss beyond;"""
_MOST_DOUBLED = 0.3
"""that share at most, where losses come singly; where they come in runs it may be all."""
_REMEMBERED = 32


@dataclass(slots=True)
class Budget:
    """A bucket, of octets or of anything else, filled at a rate."""

    rate: float
    """per second."""
    size: float
    balance: float
    updated: int

    @classmethod
    def of(cls, bitrate: int, share: float) -> Budget:
        """Full; `share` of a stream of `bitrate` bit/s."""
        rate = bitrate / 8 * share
        size = max(FLOOR, rate * _SAVED / 1e9)
        return cls(rate, size, size, 0)

    def take(self, amount: int, now: int) -> bool:
        """False: there is not so much left."""
        self.balance = min(self.size, self.balance + (now - self.updated) * self.rate / 1e9)
        self.updated = now
        if self.balance < amount:
            return False
        self.balance -= amount
        return True


class Retransmission:
    """`first` is the media's first extended number; `ssrc` and `payload_type` are the RTX stream's."""

    def __init__(self, *, first: int, first_rtx: int, ssrc: int, payload_type: int, bitrate: int) -> None:
        self.ssrc, self.payload_type = ssrc, payload_type
        self._history = History(first)
        self._budget = Budget.of(bitrate, SHARE)
        self._looks = Budget(LOOKS, LOOKS, LOOKS, 0)
        self._rate = self._budget.rate
        self._next = first_rtx
        self._queued = 0
        self._waiting: list[tuple[int, int, bytes]] = []
        self._burst = (0, 0)
        """when the last burst of answers begins, and how many packets are in it."""
        self._round_trips: deque[int] = deque(maxlen=_REMEMBERED)
        self._loss = self._double = 0.0
        self._follow = 0.0
        """share of the packets asked for of which the one before was, too."""
        self._requested = self._packets = self._octets = 0
        self._refused: Counter[str] = Counter()

    def sent(self, datagrams: Sequence[bytes], now: int) -> None:
        """The next media packets leave."""
        self._history.add(datagrams, now)

    def measured(self, round_trip: int) -> None:
        """A receiver's report told of a round trip, ns."""
        self._round_trips.append(round_trip)

    def lost(self, fraction: float) -> None:
        """A receiver's report told of the share of packets lost since the one before."""
        self._loss += (fraction - self._loss) / 8

    def limit(self, bitrate: int | None) -> None:
        """The path takes so many bit/s of the media at present; None: all there is."""
        self._budget.rate = self._rate if bitrate is None else min(self._rate, bitrate / 8 * LIMITED_SHARE)

    def answer(self, numbers: Sequence[int], now: int) -> None:
        """Somebody misses these packets (16-bit numbers, as they come)."""
        if not self._looks.take(len(numbers), now):
            self._requested += len(numbers)
            self._refused["flood"] += len(numbers)
            return
        least = min(self._round_trips, default=None)
        close = 0 if least is None else least
        for number in numbers:
            self._requested += 1
            reason = self._answer(self._history.extended(number), close, now)
            if reason:
                self._refused[reason] += 1

    def _answer(self, number: int, close: int, now: int) -> str:
        """Why not; empty where it is answered."""
        packet = self._history.get(number)
        if packet is None:
            return "never_sent" if number >= self._history.end else "too_old"
        if now - packet.last_time < (max(close, _UNKNOWN) if packet.answers else close):
            return "too_soon"
        size = len(packet.datagram) + rtx.OVERHEAD
        copies = min(packet.answers + 1, _COPIES) if packet.answers else 1 + self._doubles()
        while not self._budget.take(copies * size, now):
            copies -= 1
            if not copies:
                return "budget"
        if not packet.answers:
            self._note_run(number)
        packet.answers += 1
        packet.last_time = now
        for copy in range(copies):
            self._queued += 1
            heapq.heappush(self._waiting, (self._moment(now) + copy * _APART, self._queued, packet.datagram))
        return ""

    def _note_run(self, number: int) -> None:
        before = self._history.get(number - 1)
        self._follow += ((before is not None and before.answers > 0) - self._follow) / _REMEMBERED

    def _doubles(self) -> bool:
        """Whether a first answer is given twice: of many answers that are lost too, a second request costs a round
        trip each. What comes in runs is more likely to take the answer along."""
        risk = self._loss + self._follow / 8
        most = min(1.0, _MOST_DOUBLED + self._follow)
        self._double += min(most, max(0.0, risk - _HEAVY) * _DOUBLED)
        if self._double < 1:
            return False
        self._double -= 1
        return True

    def _moment(self, now: int) -> int:
        """When the next answer may leave: a burst at once, further ones a little apart."""
        began, count = self._burst
        if now - began >= _BURST_GAP:
            began, count = now, 0
        elif count == BURST:
            began, count = began + _BURST_GAP, 0
        self._burst = began, count + 1
        return began

    def pop(self, now: int) -> list[bytes]:
        """The answers that are due."""
        due = []
        while self._waiting and self._waiting[0][0] <= now:
            original = heapq.heappop(self._waiting)[2]
            due.append(rtx.pack(original, self.payload_type, self._next & 0xFFFF, self.ssrc))
            self._next += 1
        self._packets += len(due)
        self._octets += sum(map(len, due))
        return due

    def next_time(self) -> int | None:
        """When the next answer is due, monotonic ns."""
        return self._waiting[0][0] if self._waiting else None

    def statistics(self) -> RepairStatistics:
        """A frozen copy of everything counted."""
        return RepairStatistics(self.ssrc, self._requested, self._packets, self._octets, dict(self._refused))
