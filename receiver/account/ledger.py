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

from receiver.account.counts import LedgerCounts as LedgerCounts
from receiver.account.counts import Reception
from receiver.account.histogram import Histogram
from receiver.account.reordering import Reordering
from receiver.account.ring import StateRing
from receiver.account.runs import FateObserver, RunLengths

_ARRIVED, _LATE, _RTX, _FEC = 1, 2, 4, 8
_ARRIVED_BYTE = bytes([_ARRIVED])
_SMALLEST, _LARGEST = 1 << 12, 1 << 22
"""numbers open at once; more than the largest (8 s of 500,000 packets/s) closes the oldest early."""
_HEAD = 3000
"""numbers below the first one received that may still be the beginning (RFC 3550 A.1 MAX_DROPOUT)."""
_FURTHEST = 1 << 32
"""numbers a range may lie ahead of what arrived: more is not believed."""
_CHECKPOINT = 50_000_000
_SCALAR = 8
"""packets up to which plain Python is quicker than NumPy."""
_YES = np.ones(_SCALAR, bool)
_YES.flags.writeable = False


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
        self._reordering = Reordering()
        self._loss_runs, self._late_runs = RunLengths(), RunLengths()
        self._bad_observers = tuple(observers)
        self._loss_observers = (self._loss_runs, *loss_observers)
        self._observers = (*self._loss_observers, self._late_runs, *self._bad_observers)
        self._checkpoints: deque[tuple[int, int]] = deque()
        self._arrived = self._in_time = self._rtx = self._fec = self._missed = 0
        self._late = self._arrived_after_recovery = self._duplicates = 0
        self._after_close = self._before_join = self._corrupted = self._local = 0
        self._closed_lost = self._closed_late = 0
        self._range_known = self._range_final = self._finished = self._flagged = False
        self._shift = self._range_last = 0
        self._unsent = self._unsent_at_join = 0

    # What happens to packets

    def arrive(self, extended: NDArray[np.int64], arrival_times: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Packets in the order of their arrival, shapes (n,); times in monotonic ns.

        Returns which of them are first copies that count, shape (n,): not duplicates, not after the close, not from
        before the join. Late ones count. The result may be read-only.
        """
        n = len(extended)
        if not n:
            return np.zeros(0, bool)
        first = int(extended[0])
        if not self._started:
            self._start(int(extended.min()))
        if first >= self._end and _contiguous(extended, first):
            self._advance(first, n)
            if n <= _SCALAR:
                self._reordering.advance_each(first, arrival_times.tolist())
                return _YES[:n]
            self._reordering.advance_all(extended, arrival_times)
            return np.ones(n, bool)
        return self._arrive_mixed(extended, arrival_times)

    def recover(self, numbers: NDArray[np.int64], how: Literal["rtx", "fec"]) -> NDArray[np.bool_]:
        """Numbers repaired from a retransmission or from repair packets. shape (n,).

        Returns where that was of use, shape (n,): neither the original nor an earlier repair was there, and the
        deadline had not come.
        """
        useful = np.zeros(len(numbers), bool)
        if not self._started:
            return useful
        self._extend(int(numbers.max(initial=0)) + 1)
        undecided = np.flatnonzero(numbers >= self._decided)
        _, firsts = np.unique(numbers[undecided], return_index=True)
        rows = undecided[firsts]
        rows = rows[self._ring.states[numbers[rows] & self._ring.mask] == 0]
        self._ring.states[numbers[rows] & self._ring.mask] |= _RTX if how == "rtx" else _FEC
        useful[rows] = True
        return useful

    def corrupt(self, count: int) -> None:
        """Copies that failed authentication."""
        self._corrupted += count

    def drop_locally(self, count: int) -> None:
        """Packets of this stream that this machine's kernel dropped: an upper bound of `lost_local`."""
        self._local += count

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
        if not self._range_known:  # our highest and the sender's last lie less than half a cycle apart
            self._shift = (self._reordering.highest - last + (1 << 15)) >> 16 << 16
        first, last = first + self._shift, last + self._shift
        if first > self._first_received or last - self._end > _FURTHEST:
            return None
        if self._range_final or last < self._range_last:
            return first, last
        unsent = last - first + 1 - count
        self._flagged |= unsent < 0
        if not self._range_known:
            self._unsent_at_join = 0 if heard_from_start else max(0, unsent)
            if heard_from_start:
                self._lower_base(first)
            self._range_known = self._base_fixed = True
        self._unsent, self._range_last, self._range_final = unsent, last, final
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
        for start, stop in self._ring.pieces(self._decided, until):
            plain = self._ring.data.count(_ARRIVED, start, stop)
            self._in_time += plain
            if plain < stop - start:
                self._decide_mixed(self._ring.states[start:stop])
        self._decided = max(self._decided, until)

    def close(self, now: int, drain: int) -> None:
        """Make final what was known to be assigned `drain` ns ago. Call a few times a second (`now` monotonic ns)."""
        if not self._started:
            return
        if not self._checkpoints or now - self._checkpoints[-1][0] >= _CHECKPOINT:
            self._checkpoints.append((now, self._end))
        until = self._closed
        while self._checkpoints and self._checkpoints[0][0] <= now - drain:
            until = self._checkpoints.popleft()[1]
        self._close_until(until)

    def finish(self) -> None:
        """Decide and close everything: the counts that follow are final."""
        self._close_until(self._end)
        self._checkpoints.clear()
        self._finished = True

    # What is known now

    def counts(self) -> LedgerCounts:
        span = self._end - self._base
        lost = span - self._arrived
        known = self._range_known and (self._range_final or not self._finished)
        by_sender = 0 if self._flagged else min(lost, max(0, self._unsent - self._unsent_at_join))
        local = min(lost - by_sender, self._local)
        return LedgerCounts(
            span if known else None, known, self._arrived, lost, lost - by_sender - local, local, by_sender,
            self._in_time, self._rtx, self._fec, self._missed, self._late, self._arrived_after_recovery,
            self._duplicates, self._after_close, self._before_join, self._reordering.reordered, self._corrupted,
            self._end - self._decided, span, self._closed - self._base, self._closed_lost, self._closed_late,
            self._flagged,
        )  # fmt: skip

    def reception(self) -> Reception | None:
        """None before the first packet."""
        if not self._started:
            return None
        highest = self._reordering.highest
        received = self._arrived + self._duplicates + self._after_close
        return Reception((highest - (1 << 16)) & 0xFFFF_FFFF, highest - self._first_received + 1, received)

    @property
    def final_range_known(self) -> bool:
        """The sender has said what its last number is."""
        return self._range_final

    def loss_runs(self) -> dict[int, int]:
        """Runs of consecutive lost packets by length, over closed numbers."""
        return self._loss_runs.counts()

    def late_runs(self) -> dict[int, int]:
        """Runs of consecutive late packets by length, over closed numbers."""
        return self._late_runs.counts()

    @property
    def reordering_extents(self) -> Histogram:
        """Packets (RFC 4737 §4.2.1)."""
        return self._reordering.extents

    @property
    def late_times(self) -> Histogram:
        """µs of buffer that would have restored the order (RFC 4737 §4.3)."""
        return self._reordering.late_times

    # The ring

    def _start(self, number: int) -> None:
        self._started = True
        self._base = self._closed = self._decided = self._end = self._first_received = number

    def _advance(self, first: int, n: int) -> None:
        """`n` packets from `first` on, nothing above it known."""
        self._extend(first + n)
        if n == 1:
            self._ring.data[first & self._ring.mask] = _ARRIVED
        else:
            for start, stop in self._ring.pieces(first, first + n):
                self._ring.data[start:stop] = _ARRIVED_BYTE * (stop - start)
        self._arrived += n

    def _arrive_mixed(self, extended: NDArray[np.int64], times: NDArray[np.int64]) -> NDArray[np.bool_]:
        lowest = int(extended.min())
        if lowest < self._base and self._base - lowest <= _HEAD and self._closed == self._base and not self._base_fixed:
            self._first_received = lowest
            self._lower_base(lowest)
        highest = int(extended.max())
        if highest - self._closed >= _LARGEST and len(extended) > 1:  # the jump must not close what comes with it
            halves = zip(np.array_split(extended, 2), np.array_split(times, 2), strict=True)
            return np.concatenate([self.arrive(*half) for half in halves])
        self._extend(highest + 1)
        still_open = extended >= self._closed
        early = int(np.count_nonzero(extended < self._base))
        self._before_join += early
        self._after_close += int(np.count_nonzero(~still_open)) - early
        at = extended & self._ring.mask
        fresh: NDArray[np.bool_] = still_open & ((self._ring.states[at] & _ARRIVED) == 0)
        fresh &= _first_copies(extended)
        self._duplicates += int(np.count_nonzero(still_open & ~fresh))
        at = at[fresh]
        self._ring.states[at] |= _ARRIVED
        self._arrived += len(at)
        self._count_late(extended[fresh], at)
        self._reordering.arrive(extended[fresh], times[fresh])
        return fresh

    def _count_late(self, numbers: NDArray[np.int64], at: NDArray[np.int64]) -> None:
        at = at[numbers < self._decided]
        if not len(at):
            return
        missed = at[(self._ring.states[at] & (_RTX | _FEC)) == 0]
        self._ring.states[missed] |= _LATE
        self._late += len(missed)
        self._arrived_after_recovery += len(at) - len(missed)

    def _lower_base(self, number: int) -> None:
        """Count from an earlier number on."""
        added = self._base - number
        if added <= 0:
            return
        if self._closed > self._base or self._end - number > _LARGEST:  # too late to wait for them
            self._closed_lost += added
            self._missed += added
            self._loss_runs.add_whole(added)
        else:
            self._ring.reserve(self._end - number, self._closed, self._end)
            if self._decided == self._base:
                self._decided = number
            else:
                self._missed += added
            self._closed = number
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
            skipped = until - self._end
            self._missed += skipped
            self._closed_lost += skipped
            self._late_runs.good(skipped)
            for observer in (*self._loss_observers, *self._bad_observers):
                observer.bad(skipped)
            self._closed = self._decided = self._end = until
        self._ring.reserve(end - self._closed, self._closed, self._end)

    def _decide_mixed(self, states: NDArray[np.uint8]) -> None:
        plain = int(np.count_nonzero(states == _ARRIVED))
        arrived = int(np.count_nonzero(states & _ARRIVED))
        rtx = int(np.count_nonzero((states & (_ARRIVED | _RTX)) == _RTX))
        fec = int(np.count_nonzero((states & (_ARRIVED | _RTX | _FEC)) == _FEC))
        self._in_time += arrived - plain
        self._rtx += rtx
        self._fec += fec
        self._missed += len(states) - arrived - rtx - fec

    def _close_until(self, until: int) -> None:
        """`until` is not above the highest known."""
        self.decide(until)
        for start, stop in self._ring.pieces(self._closed, until):
            self._tally(start, stop)
        self._closed = max(self._closed, until)

    def _tally(self, start: int, stop: int) -> None:
        states, n = self._ring.states[start:stop], stop - start
        if self._ring.data.count(_ARRIVED, start, stop) == n:
            for observer in self._observers:
                observer.good(n)
        else:
            self._tally_mixed(states)
        states[:] = 0

    def _tally_mixed(self, states: NDArray[np.uint8]) -> None:
        lost, late = (states & _ARRIVED) == 0, (states & _LATE) != 0
        self._closed_lost += int(np.count_nonzero(lost))
        self._closed_late += int(np.count_nonzero(late))
        self._late_runs.observe(late)
        for observer in self._loss_observers:
            observer.observe(lost)
        bad = lost | late
        for observer in self._bad_observers:
            observer.observe(bad)


def _contiguous(numbers: NDArray[np.int64], first: int) -> bool:
    n = len(numbers)
    if n <= _SCALAR:
        return n == 1 or numbers.tolist() == list(range(first, first + n))
    return int(numbers[-1]) - first == n - 1 and bool((numbers[1:] - numbers[:-1] == 1).all())


def _first_copies(numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Where each number occurs for the first time. shape (n,)."""
    first = np.ones(len(numbers), bool)
    if (numbers[1:] <= numbers[:-1]).any():
        order = np.argsort(numbers, kind="stable")
        ordered = numbers[order]
        first[order[1:][ordered[1:] == ordered[:-1]]] = False
    return first
