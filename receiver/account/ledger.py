"""The fate of every packet of one numbering of one source: did it arrive, and was it there when needed?

Two facts are kept for each extended sequence number between `closed` and the highest known:

      closed                decided                              end
        |  fate fixed, may    |  may still come in time            |  not assigned yet, as far as is known
        |  still arrive       |                                    |
    ----+---------------------+------------------------------------+----> extended sequence number

Numbers below `closed` are only counters: what still comes of them is `after_close`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from protocol.serial import difference
from receiver.account.announced import Announced
from receiver.account.closing import Closing
from receiver.account.counts import LedgerCounts as LedgerCounts
from receiver.account.counts import Reception
from receiver.account.histogram import Histogram
from receiver.account.intervals import Interval
from receiver.account.local import LocalDrop, LocalDrops
from receiver.account.numbers import ascending, contiguous, first_copies
from receiver.account.reordering import Reordering
from receiver.account.ring import StateRing
from receiver.account.runs import FateObserver
from receiver.account.sender_count import SenderCount
from receiver.account.states import ARRIVED, COPIED, FEC, LATE, REPAIRED, RTX, decide

_SMALLEST, _LARGEST = 1 << 12, 1 << 22
"""numbers open at once; more than the largest (8 s of 500,000 packets/s) closes the oldest early."""
_HEAD = 3000
"""numbers below the first one received that may still be the beginning (RFC 3550 A.1 MAX_DROPOUT)."""
_FURTHEST = 1 << 32  # numbers a range may lie ahead of what arrived: more is not believed
_CHECKPOINT = 50_000_000
_YES = [np.broadcast_to(np.True_, n) for n in range(9)]


class Ledger:
    """Accounts for one StreamKey. Every number is the source tracker's extended one."""

    def __init__(self, observers: Sequence[FateObserver] = (), loss_observers: Sequence[FateObserver] = ()) -> None:
        """Both are shown every number once, as it closes: `observers` whether it was lost or late (what RFC 3611
        calls lost or discarded), `loss_observers` whether it was lost. Only a lost head that is learnt of after its
        successors closed is not shown."""
        self._ring = StateRing(_SMALLEST)
        self._started = False
        self._base = self._closed = self._decided = self._end = 0
        self._base_fixed = False
        self._first_received = 0
        self._reordering, self._closing = Reordering(), Closing(observers, loss_observers)
        self._checkpoints: deque[tuple[int, int]] = deque()
        self._arrived = self._in_time = self._rtx = self._fec = self._missed = 0
        self._late = self._arrived_after_recovery = self._duplicates = self._replicated = 0
        self._unverified = 0
        self._after_close = self._before_join = self._corrupted = self._first_arrival = 0
        self._local, self._range, self._count = LocalDrops(), Announced(), SenderCount()
        self._finished = self._counted = self._left = False

    # What happens to packets

    def arrive(self, extended: NDArray[np.int64], arrival_times: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Packets in the order of their arrival, shapes (n,); times in monotonic ns.

        Returns which of them count, shape (n,), read-only: neither a further copy, nor after the close, nor before the
        join; late ones do.
        """
        n = len(extended)
        if n == 1 and self._arrive_above(extended.item(), arrival_times.item()):
            return _YES[1]
        if not n:
            return np.zeros(0, bool)
        first = extended.item(0)
        if not self._started:
            self._start(int(extended.min()), int(arrival_times[0]))
        if first < self._end or not self._advance(first, extended):
            return self._arrive_mixed(extended, arrival_times)
        self._arrived += n
        self._explain_drops(self._end)
        self._reordering.advance(extended, arrival_times)
        return _YES[n] if n < len(_YES) else np.ones(n, bool)

    def arrive_one(self, number: int, time: int) -> bool:
        """As `arrive`, of one packet."""
        return self._arrive_above(number, time) or self.arrive(np.array([number]), np.array([time])).item()

    def _arrive_above(self, number: int, time: int) -> bool:
        """The common case of one: whether its number is above all that are known, and there is room for it."""
        if number < self._end or not self._started or number - self._closed >= len(self._ring.data):
            return False
        self._ring.data[number & self._ring.mask] = ARRIVED
        self._end, self._arrived = number + 1, self._arrived + 1
        self._explain_drops(self._end)
        self._reordering.advance_one(number, time)
        return True

    def recover(self, numbers: NDArray[np.int64], how: Literal["rtx", "fec"]) -> NDArray[np.bool_]:
        """Numbers repaired from a retransmission or from repair packets. shape (n,).

        Returns where that was of use, shape (n,): nothing was there, and the deadline had not come.
        """
        useful = np.zeros(len(numbers), bool)
        if not self._started:
            return useful
        self._extend(int(numbers.max(initial=0)) + 1)
        undecided = np.flatnonzero(numbers >= self._decided)
        rows = undecided[np.unique(numbers[undecided], return_index=True)[1]]
        rows = rows[self._ring.states[numbers[rows] & self._ring.mask] & (ARRIVED | REPAIRED) == 0]
        self._ring.states[numbers[rows] & self._ring.mask] |= RTX if how == "rtx" else FEC
        useful[rows] = True
        return useful

    def corrupt(self, count: int) -> None:
        """Copies that failed authentication."""
        self._corrupted += count

    def repeat(self, sequence_numbers: Sequence[int]) -> int:
        """Packets with these numbers (16 bits) have come before, by their headers, of which nobody knows whether they
        are genuine: further copies, unverified. Returns how many are of numbers that came; the others are corrupted."""
        numbers = np.array([self._near(number) for number in sequence_numbers] if self._started else [], np.int64)
        early, late = numbers < self._base, numbers < self._closed
        numbers_open = numbers[~late & (numbers < self._end)]
        copies = numbers_open[self._ring.states[numbers_open & self._ring.mask] & ARRIVED != 0]
        if len(copies):
            self._count_copies(copies)
        self._unverified += len(copies)
        self._before_join += int(np.count_nonzero(early))
        self._after_close += int(np.count_nonzero(late & ~early))
        counted = len(copies) + int(np.count_nonzero(late))
        self._corrupted += len(sequence_numbers) - counted
        return counted

    def _near(self, number: int) -> int:
        """The extended number with these low 16 bits that is nearest to the highest."""
        highest = self._reordering.highest
        return highest + difference(number, highest & 0xFFFF, 16)

    def drop_locally(self, drop: LocalDrop) -> None:
        """The kernel dropped datagrams just now, after what has arrived and before what arrives next: numbers missing
        in between, no more than it dropped, were lost here. Other streams of the same queue get the same `drop`."""
        if self._started and not self._finished:
            self._local.waiting.append((self._reordering.highest + 1, drop))

    def report_count(self, count: int, arrival: int, since: int) -> None:
        """A sender report's packet count (32 bits), which came at `arrival`; we listen `since` then (monotonic ns).
        It is used where the sender's range is not known, once the account is finished."""
        if self._started:
            self._count.report(count, arrival, self._seen, self._first_arrival, self._reordering.newest_time, since)

    def set_range(
        self, first: int, last: int, count: int, *, final: bool, heard_from_start: bool
    ) -> tuple[int, int] | None:
        """The sender's own word: extended numbers it assigned, and how many packets it handed to its network.

        Each range replaces the one before. Its cycles may be counted from another start than ours.
        `heard_from_start`: the packet `first` would have reached us while we listened, so nothing before our first
        packet is excused. Returns the range in our numbers, or None when it cannot be of this stream.
        """
        if not self._started or first > last:
            return None
        first, last = self._range.placed(first, last, self._reordering.highest)
        if first > self._first_received or last - self._end > _FURTHEST:
            return None
        if not self._range.known and heard_from_start:
            self._lower_base(first)
        self._base_fixed = True
        if self._range.renew(first, last, count, final=final, heard_from_start=heard_from_start):
            self._extend(last + 1)
        return first, last

    def expect(self, until: int) -> None:
        """Numbers below `until` are known to be assigned, though no packet says so yet."""
        if self._started and until - self._end <= _FURTHEST:
            self._extend(until)

    def decide(self, until: int) -> None:
        """The listener has gone on: every undecided number below `until` was in time, recovered or missed.

        Numbers above the highest known stay undecided. Drain the socket first: what counts is the arrival stamp.
        """
        until = min(until, self._end)
        if until == self._decided + 1 and self._ring.data[self._decided & self._ring.mask] == ARRIVED:
            self._in_time += 1
            self._decided = until
            return
        for start, stop in self._ring.pieces(self._decided, until):
            if self._ring.data.count(ARRIVED, start, stop) == stop - start:
                self._in_time += stop - start
            else:
                in_time, rtx, fec = decide(self._ring.states[start:stop])
                self._in_time, self._rtx, self._fec = self._in_time + in_time, self._rtx + rtx, self._fec + fec
                self._missed += stop - start - in_time - rtx - fec
        self._decided = max(self._decided, until)

    def close(self, now: int, drain: int) -> None:
        """Make final what was known to be assigned `drain` ns ago. Call a few times a second (`now` monotonic ns)."""
        if not self._started:
            return
        if not self._checkpoints or now - self._checkpoints[-1][0] >= _CHECKPOINT:
            self._checkpoints.append((now, self._end))
        self._closing.intervals.cut(self._end, now)
        self._closing.reached(self._closed)
        self._count.look(self._seen, now)
        until = self._closed
        while self._checkpoints and self._checkpoints[0][0] <= now - drain:
            until = self._checkpoints.popleft()[1]
        self._close_until(until)

    def finish(self, *, left: bool = False) -> None:
        """Decide and close everything: the counts that follow are final. `left`: it is we who stop, in the middle of a
        stream, so what it would have brought after its newest packet is not asked for."""
        self._left = left
        if self._started and not self._range.known:
            self._apply_count()
        self._closing.intervals.cut(self._end, self._reordering.newest_time, 0)
        self._closing.reached(self._closed)
        self._close_until(self._end)
        self._checkpoints.clear()
        self._finished = True

    def _apply_count(self) -> None:
        """What the sender's own count says of the two ends."""
        ends = self._count.head_and_tail(self._seen, self._first_arrival, self._reordering.newest_time)
        if ends is not None:
            self._lower_base(self._base - ends[0])
            self._extend(self._reordering.highest + 1 + ends[1])
            self._counted = True

    # What is known now

    def counts(self) -> LedgerCounts:
        span, known = self._end - self._base, self._sent_known()
        lost = span - self._arrived
        by_sender = min(lost, self._range.not_sent)
        local = min(lost - by_sender, self._local.count)
        return LedgerCounts(
            span if known else None, known, self._arrived, lost, lost - by_sender - local, local, by_sender,
            self._in_time, self._rtx, self._fec, self._missed, self._late, self._arrived_after_recovery,
            self._duplicates, self._after_close, self._before_join, self._reordering.reordered, self._corrupted,
            self._end - self._decided, span, self._closed - self._base, self._closing.lost, self._closing.late,
            self._range.flagged or self._count.flagged, self._replicated, self._local.exact,
            self._unverified,
        )  # fmt: skip

    def _sent_known(self) -> bool:
        if self._finished:
            return self._range.final or self._counted or (self._left and self._range.known)
        return self._range.known or self._count.complete_so_far

    def intervals(self) -> tuple[Interval, ...]:
        """Those that are final, in order and without a gap; after `finish` they add up to the counts."""
        return self._closing.intervals.rows()

    def reception(self) -> Reception | None:
        """None before the first packet."""
        if not self._started:
            return None
        highest = self._reordering.highest
        received = self._arrived + self._duplicates - self._unverified + self._after_close
        return Reception((highest - (1 << 16)) & 0xFFFF_FFFF, highest - self._first_received + 1, received)

    @property
    def highest(self) -> int | None:
        """The highest number that arrived; None before the first packet."""
        return self._reordering.highest if self._started else None

    def missing(self, start: int, stop: int) -> NDArray[np.bool_]:
        """Which have not arrived, of the numbers from `start` to below `stop` that have not closed."""
        numbers = np.arange(max(start, self._closed), min(stop, self._end))
        flags: NDArray[np.bool_] = self._ring.states[numbers & self._ring.mask] & ARRIVED == 0
        return flags

    @property
    def final_range_known(self) -> bool:
        """The sender has said what its last number is."""
        return self._range.final

    def loss_runs(self) -> dict[int, int]:
        """Runs of consecutive lost packets by length, over closed numbers."""
        return self._closing.loss_runs.counts()

    def late_runs(self) -> dict[int, int]:
        """Runs of consecutive late packets by length, over closed numbers."""
        return self._closing.late_runs.counts()

    @property
    def reordering_extents(self) -> Histogram:
        """Packets (RFC 4737 §4.2.1)."""
        return self._reordering.extents

    @property
    def late_times(self) -> Histogram:
        """µs of buffer that would have restored the order (RFC 4737 §4.3)."""
        return self._reordering.late_times

    # The ring

    def _start(self, number: int, time: int) -> None:
        self._started, self._first_arrival = True, time
        self._closing.start(number, time)
        self._base = self._closed = self._decided = self._end = self._first_received = number

    def _advance(self, first: int, extended: NDArray[np.int64]) -> bool:
        """Whether these, from `first` on, of which and above which nothing is known, ascend: they have arrived then."""
        if contiguous(extended, first):
            self._extend(end := first + len(extended))
            self._ring.fill(first, end, ARRIVED)
            return True
        last = extended.item(-1)
        if last - self._closed >= _LARGEST or not ascending(extended):
            return False
        self._extend(last + 1)
        self._ring.states[extended & self._ring.mask] = ARRIVED
        return True

    def _arrive_mixed(self, extended: NDArray[np.int64], times: NDArray[np.int64]) -> NDArray[np.bool_]:
        lowest, highest = int(extended.min()), int(extended.max())
        if lowest < self._base and self._base - lowest <= _HEAD and self._closed == self._base and not self._base_fixed:
            self._first_received = lowest
            self._lower_base(lowest)
        if highest - self._closed >= _LARGEST and len(extended) > 1:  # the jump must not close what comes with it
            halves = zip(np.array_split(extended, 2), np.array_split(times, 2), strict=True)
            return np.concatenate([self.arrive(*half) for half in halves])
        self._extend(highest + 1)
        still_open = extended >= self._closed
        early = int(np.count_nonzero(extended < self._base))
        self._before_join += early
        self._after_close += int(np.count_nonzero(~still_open)) - early
        at = extended & self._ring.mask
        fresh: NDArray[np.bool_] = still_open & ((self._ring.states[at] & ARRIVED) == 0)
        fresh &= first_copies(extended)
        numbers, at = extended[fresh], at[fresh]
        if self._local.count:
            self._local.take_back(self._ring, at)
        self._ring.states[at] |= ARRIVED
        self._arrived += len(at)
        self._count_late(numbers, at)
        overtaken = self._reordering.arrive(numbers, times[fresh])
        if len(overtaken):
            self._closing.intervals.reordered(overtaken)
        copies = extended[still_open & ~fresh]
        if len(copies):
            self._count_copies(copies)
        self._explain_drops(self._reordering.highest + 1)
        return fresh

    def _count_copies(self, numbers: NDArray[np.int64]) -> None:
        """Of open numbers that have arrived."""
        self._duplicates += len(numbers)
        self._closing.intervals.duplicated(numbers)
        at = np.unique(numbers) & self._ring.mask
        at = at[self._ring.states[at] & COPIED == 0]
        self._ring.states[at] |= COPIED
        self._replicated += len(at)

    def _count_late(self, numbers: NDArray[np.int64], at: NDArray[np.int64]) -> None:
        at = at[numbers < self._decided]
        if not len(at):
            return
        missed = at[(self._ring.states[at] & REPAIRED) == 0]
        self._ring.states[missed] |= LATE
        self._late += len(missed)
        self._arrived_after_recovery += len(at) - len(missed)

    def _lower_base(self, number: int) -> None:
        """Count from an earlier number on."""
        added = self._base - number
        if added <= 0:
            return
        if self._closed > self._base or self._end - number > _LARGEST:  # too late to wait for them
            self._missed += added
            self._closing.lost_head(number, self._base)
        else:
            self._ring.reserve(self._end - number, self._closed, self._end)
            if self._decided == self._base:
                self._decided = number
            else:
                self._missed += added
            self._closed = number
            self._closing.intervals.lower(number)
        self._base = number

    def _extend(self, end: int) -> None:
        """Numbers below `end` are known to be assigned."""
        if end <= self._end:
            return
        if end - self._closed > len(self._ring):
            self._make_room(end)
        self._end = end

    def _make_room(self, end: int) -> None:
        until = end - _LARGEST
        if until > self._closed:
            self._close_until(min(until, self._end))
        if until > self._end:  # more than the ring holds, none of it seen
            self._missed += until - self._end
            self._closing.all_lost(until - self._end)
            self._closed = self._decided = self._end = until
        self._ring.reserve(end - self._closed, self._closed, self._end)

    def _close_until(self, until: int) -> None:
        """`until` is not above the highest known."""
        self._explain_drops(until)
        self.decide(until)
        while self._closed < until:
            stop = self._closing.intervals.stop(until)
            for start, end in self._ring.pieces(self._closed, stop):
                self._tally(start, end)
            self._closed = self._reordering.floor = stop
            self._closing.reached(stop)

    def _explain_drops(self, below: int) -> None:
        if self._local.waiting:
            self._local.explain(self._ring, below, self._closed, self._end)

    def _tally(self, start: int, stop: int) -> None:
        states = self._ring.states[start:stop]
        if self._ring.data.count(ARRIVED, start, stop) == stop - start:
            self._closing.all_in_time(stop - start)
        else:
            self._closing.mixed(states)
        states[:] = 0

    @property
    def _seen(self) -> int:
        """Numbers from the first counted to the highest that arrived."""
        return self._reordering.highest + 1 - self._base
