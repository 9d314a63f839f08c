"""Which packets of a stream are missing, and when each is asked for (generic NACK, RFC 4585 §6.2.1).

A packet is missed when a later one came, or when the rhythm of the stream says that it should have come. It is asked
for after the time that reordering took lately, in three copies a little apart, because requests are lost too; again
each round trip, while the answer can come before the deadline. Sans-IO; numbers are extended ones, times monotonic ns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from protocol.serial import difference
from receiver.account.numbers import contiguous
from receiver.jitter.runs import Packets
from receiver.repair.nack_cadence import Cadence
from receiver.repair.nack_counts import NackCounts
from receiver.repair.nack_timing import MILLISECOND, RoundTrip, Tolerance

MAX_MISSING = 1000
"""packets; more are not repaired one by one."""
COPIES = 3
"""of the first request; of the second there are twice as many, of the third three times: what lost the ones before may
last, and there is little time left."""
_APART = 5 * MILLISECOND
"""ns between copies, or less, so that all of a round leave well before the next."""
_TOGETHER = 2 * MILLISECOND
"""by which a request may be early to go with others."""
_TURN = 3 * MILLISECOND
"""that a request and its answer lie at the sender, and in two programs' queues."""
_SETTLED = 1_000_000_000
"""ns for which it is remembered what became of a missing packet."""
_DOUBT, _DISBELIEF = 16, 64
"""packets asked for in vain in a row after which answers are not waited for any more, and hardly asked for."""
_PROBE = 1_000_000_000
"""ns between requests then."""

Deadline = Callable[[int], int]
"""RTP timestamp (unwrapped) -> monotonic ns after which a repair is of no use."""


@dataclass(slots=True)
class _Missing:
    timestamp: int
    """of the frame it may belong to, unwrapped."""
    low: int
    high: int
    """which timestamps it can have."""
    noticed: int
    due: int
    """when to ask, next."""
    rounds: int = 0
    asked: int = 0
    """when the present round began."""
    copies: int = 0
    """that are still to be sent in it."""
    apart: int = 0
    """ns between them."""
    repaired: bool = False
    came: bool = False
    """the original did, after all."""
    guessed: bool = False
    """only the rhythm says that it was sent, so it counts for nothing yet."""


class _Overdue(NamedTuple):
    number: int
    moment: int
    """at which it is to be missed."""
    timestamp: int


class Nacks:
    """Of one stream."""

    def __init__(self, clock_rate: int, *, every_packet_is_a_frame: bool) -> None:
        self.round_trip = RoundTrip()
        self.promised = False
        """the sender is known to answer."""
        self.overwhelmed = False
        """so much was missing at once that none of it is asked for; whoever has taken note resets it."""
        self._tolerance = Tolerance()
        self._cadence = Cadence(clock_rate, every_packet_is_a_frame=every_packet_is_a_frame)
        self._clock_rate = clock_rate
        self._single = every_packet_is_a_frame
        self._waiting: dict[int, _Missing] = {}
        self._settled: dict[int, _Missing] = {}
        """repaired or given up; the original may still come."""
        self._highest: int | None = None
        self._guessed = -1
        """the highest number that only the rhythm told of."""
        self._timestamp = 0
        self._next: int | None = None
        """when something of what is waited for is due; None: nothing is."""
        self._unanswered = 0
        self._probed = 0
        self._answers = 0
        self._counts: Counter[str] = Counter()
        self._rounds: Counter[int] = Counter()

    # -- what comes -------------------------------------------------------------------------------------------

    def came(self, packets: Packets) -> None:
        """Originals, first copies, in the order of their arrival."""
        numbers = packets.sequence
        first = int(numbers[0])
        if self._highest is None:
            self._highest, self._timestamp = first - 1, int(packets.timestamp[0])
        if first == self._highest + 1 and first > self._guessed and contiguous(numbers, first):
            self._tolerance.in_order(len(numbers))
            self._highest, self._timestamp = int(numbers[-1]), int(packets.timestamp[-1])
            self._follow(packets)
            return
        columns = (numbers, packets.timestamp, packets.marker, packets.arrival_time)
        for number, timestamp, marker, arrival in zip(*(column.tolist() for column in columns), strict=True):
            if number > self._highest:
                follows = number == self._highest + 1
                self._advance(number, timestamp, arrival)
                self._cadence.came(number, timestamp, marker, arrival, follows=follows)
            else:
                self._fill(number, arrival)

    def _follow(self, packets: Packets) -> None:
        """Of consecutive packets only the ends of frames say something new."""
        changes = packets.timestamp[1:] != packets.timestamp[:-1]
        rows = np.flatnonzero(np.r_[True, changes] | np.r_[changes, True]) if len(packets) > 2 else range(len(packets))
        for row in rows:
            timestamp, marker = int(packets.timestamp[row]), bool(packets.marker[row])
            self._cadence.came(
                int(packets.sequence[row]), timestamp, marker, int(packets.arrival_time[row]), follows=True
            )

    def _advance(self, number: int, timestamp: int, arrival: int) -> None:
        """A new highest number; those it leaves out are missing."""
        assert self._highest is not None
        expected = self._settle_original(number)
        if not expected:
            self._tolerance.in_order(1)
        if number - self._highest > MAX_MISSING:
            self._give_up_all()
        else:
            self._miss(number, timestamp, arrival)
        self._highest, self._timestamp = number, timestamp

    def _miss(self, until: int, timestamp: int, now: int) -> None:
        assert self._highest is not None
        due = now + self._tolerance.wait
        low, high = sorted((self._timestamp, timestamp))
        slack = 0 if self._single or low == high else self._clock_rate  # pictures may be sent in another order
        steps = until - self._highest
        of_next = self._cadence.whole and not self._single and high - low < self._clock_rate // 10
        for step in range(1, steps):
            number = self._highest + step
            between = timestamp if of_next else self._timestamp + (timestamp - self._timestamp) * step // steps
            known, settled = self._waiting.get(number), self._settled.get(number)
            if known is None and (settled is None or settled.guessed):
                self._settled.pop(number, None)
                self._waiting[number] = _Missing(between, low - slack, high + slack, now, due)
            elif known is not None:
                self._was_sent(known)
                known.noticed = now
        if len(self._waiting) > MAX_MISSING:
            self._give_up_all()
        self._wake(due if steps > 1 else None)

    def _was_sent(self, missing: _Missing) -> None:
        """The rhythm was right."""
        self._counts["requested"] += missing.guessed and missing.rounds > 0
        missing.guessed = False

    def _give_up_all(self) -> None:
        self._counts["not_requested"] += sum(not (m.rounds or m.guessed) for m in self._waiting.values())
        self._waiting.clear()
        self.overwhelmed = True

    def give_up_below(self, end: int) -> None:
        """Numbers below are of no use any more."""
        for number in [number for number in self._waiting if number < end]:
            self._give_up(number, self._waiting[number])

    def _fill(self, number: int, arrival: int) -> None:
        """One that was overtaken has come."""
        missing = self._waiting.get(number) or self._settled.get(number)
        if missing is not None:
            self._tolerance.overtaken(arrival - missing.noticed)
            self._settle_original(number)

    def _settle_original(self, number: int) -> bool:
        missing = self._waiting.pop(number, None) or self._settled.get(number)
        if missing is None or missing.came:
            return False
        self._was_sent(missing)
        self._counts["useless"] += bool(missing.rounds)
        missing.came = True
        self._settled[number] = missing
        return True

    def answered(self, number: int, timestamp: int, marker: bool, now: int) -> str:
        """A retransmission of this number came; why it cannot be used, empty where it can."""
        missing = self._waiting.get(number)
        if missing is None:
            settled = self._settled.get(number)
            if settled is None or not settled.rounds:
                return "not_requested"
            self._was_sent(settled)
            self._unanswered = 0
            return "duplicate" if settled.repaired else "original_came" if settled.came else "late"
        if not missing.rounds:
            return "not_requested"
        if not missing.low <= timestamp <= missing.high:
            return "contradicts"
        if missing.rounds == 1:
            self.round_trip.answered(now - missing.asked)
        self._was_sent(missing)
        missing.repaired = True
        self._settled[number] = self._waiting.pop(number)
        self._unanswered = 0
        self._answers += 1
        self._rounds[missing.rounds] += 1
        if self._highest is not None and number > self._highest:
            self._cadence.repaired(number, timestamp, marker, now)
            self._highest, self._timestamp = number, timestamp
        return ""

    def restored(self, number: int) -> None:
        """It was repaired otherwise."""
        missing = self._waiting.pop(number, None)
        if missing is not None:
            self._was_sent(missing)
            missing.repaired = True
            self._settled[number] = missing

    # -- what is asked for ------------------------------------------------------------------------------------

    def due(self, now: int, deadline: Deadline) -> list[int]:
        """The numbers to be asked for now, ascending; they count as asked."""
        self._expect(now)
        if self._next is None or now < self._next:
            return []
        numbers = [
            number
            for number, missing in sorted(self._waiting.items())
            if missing.due <= now + _TOGETHER and self._ask(number, missing, now, deadline(missing.timestamp))
        ]
        self._next = min((missing.due for missing in self._waiting.values()), default=None)
        self._forget(now)
        self._counts["nacks"] += bool(numbers)
        return numbers

    def _expect(self, now: int) -> None:
        """What should have come by its rhythm is missing too."""
        while (overdue := self._overdue()) is not None and overdue.moment <= now:
            timestamp = overdue.timestamp
            low, high = min(timestamp, self._timestamp), timestamp + self._clock_rate
            self._waiting[overdue.number] = _Missing(timestamp, low, high, now, now, guessed=True)
            self._guessed = max(self._guessed, overdue.number)
            self._wake(now)

    def _overdue(self) -> _Overdue | None:
        """The next number above the highest that is to be missed; None while so many are, or nobody can say."""
        if self._highest is None:
            return None
        ahead = 1
        while self._highest + ahead in self._waiting or self._highest + ahead in self._settled:
            ahead += 1
        overdue = self._cadence.overdue(ahead)
        if overdue is None:
            return None
        return _Overdue(self._highest + ahead, overdue[0] + self._tolerance.wait, overdue[1])

    def _ask(self, number: int, missing: _Missing, now: int, deadline: int) -> bool:
        if not missing.copies:
            if now + self.round_trip.value > deadline or not self._may_ask(now):
                self._give_up(number, missing)
                return False
            self._counts["requested"] += not (missing.rounds or missing.guessed)
            missing.rounds += 1
            missing.asked, missing.copies = now, COPIES * min(missing.rounds, 3)
            missing.apart = min(_APART, self.round_trip.timeout // (missing.copies + 2))
        missing.copies -= 1
        missing.due = now + missing.apart if missing.copies else missing.asked + self.round_trip.timeout
        return True

    def _may_ask(self, now: int) -> bool:
        """Whoever never answers is asked seldom."""
        if self._unanswered < _DISBELIEF:
            return True
        probe = now - self._probed >= _PROBE
        self._probed = now if probe else self._probed
        return probe

    def _give_up(self, number: int, missing: _Missing) -> None:
        if self._highest is not None and number < self._highest:  # others may never have been sent
            self._unanswered += bool(missing.rounds)
        self._counts["not_requested"] += not (missing.rounds or missing.guessed)
        self._settled[number] = self._waiting.pop(number)

    def _forget(self, now: int) -> None:
        old = [number for number, missing in self._settled.items() if missing.noticed < now - _SETTLED]
        for number in old:
            del self._settled[number]

    def _wake(self, at: int | None) -> None:
        if at is not None:
            self._next = at if self._next is None else min(self._next, at)

    # -- reading ----------------------------------------------------------------------------------------------

    def next_time(self) -> int | None:
        """When `due` has something to ask or to give up."""
        overdue = self._overdue()
        times = [self._next] if overdue is None else [self._next, overdue.moment]
        return min((time for time in times if time is not None), default=None)

    @property
    def answer(self) -> int | None:
        """ns after a packet should have come until it comes again, where the stream's rhythm tells that it is lost."""
        notice = self._cadence.notice
        return None if notice is None else notice + self._tolerance.wait + self.round_trip.value + _TURN

    @property
    def waiting(self) -> bool:
        """Whether something is missing whose repair can still come."""
        return bool(self._waiting)

    def extended(self, number: int) -> int:
        """The extended number nearest to the newest, of a 16-bit one."""
        highest = self._highest or 0
        return highest + difference(number, highest & 0xFFFF, 16)

    def asked_for(self, number: int) -> bool:
        """Whether an answer for this one may be under way."""
        missing = self._waiting.get(number) or self._settled.get(number)
        return missing is not None and missing.rounds > 0

    def waits_for(self, number: int) -> bool:
        """Whether this one's repair can still come, and there is reason to believe that it will."""
        return number in self._waiting and self._unanswered < _DOUBT and (self.promised or self._answers > 0)

    def was_repaired(self, number: int) -> bool:
        """Whether a retransmission stands for it, lately."""
        missing = self._settled.get(number)
        return missing is not None and missing.repaired

    def counts(self) -> NackCounts:
        """What of it is known here."""
        counts = self._counts
        return NackCounts(
            counts["nacks"], counts["requested"], 0, 0, counts["useless"], counts["not_requested"], dict(self._rounds)
        )
