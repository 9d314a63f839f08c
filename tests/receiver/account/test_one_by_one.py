"""Packets that are booked one by one come to the same as those that are booked in batches."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from protocol.rtp import Headers
from receiver.account.bursts import Bursts
from receiver.account.clock import SenderClock
from receiver.account.delay import Delay
from receiver.account.gilbert_elliott import LossRuns
from receiver.account.ledger import Ledger
from receiver.account.local import LocalDrop
from receiver.account.source import SourceTracker

RATE = 90_000
MS = 1_000_000
START = 1_000 * MS
NOTHING = np.zeros(0, np.uint8)


class Books:
    """All that is kept of one stream."""

    def __init__(self) -> None:
        self.tracker, self.clock = SourceTracker(RATE), SenderClock(RATE)
        self.delay, self.bursts, self.losses = Delay(RATE, self.clock), Bursts(), LossRuns()
        self.ledger = Ledger((self.bursts,), (self.losses,))
        self.fresh: list[bool] = []

    def batch(self, headers: Headers, times: NDArray[np.int64]) -> None:
        for segment in self.tracker.track(headers, times, NOTHING):
            excess = self.delay.observe(segment.timestamps, segment.arrival_times)
            fresh = self.ledger.arrive(segment.extended, segment.arrival_times)
            self.delay.count(excess[fresh])
            self.fresh += fresh.tolist()

    def one_by_one(self, headers: Headers, times: NDArray[np.int64]) -> None:
        columns = headers.sequence_number.tolist(), headers.timestamp.tolist(), times.tolist()
        for row, (sequence, timestamp, arrival) in enumerate(zip(*columns, strict=True)):
            place = self.tracker.track_one(sequence, timestamp, arrival)
            if place is None:
                self.batch(headers.select(slice(row, row + 1)), times[row : row + 1])
                continue
            excess = self.delay.observe_one(place[1], arrival)
            self.fresh.append(self.ledger.arrive_one(place[0], arrival))
            if self.fresh[-1]:
                self.delay.count_one(excess)

    def figures(self) -> list[object]:
        """All but the jitter, which is a sum of fractions in another order."""
        return [
            self.ledger.counts(), self.ledger.reception(), self.ledger.intervals(), self.ledger.loss_runs(),
            self.ledger.late_runs(), self.ledger.reordering_extents.bins(), self.ledger.late_times.bins(),
            self.bursts.counts(), self.losses.sample, self.delay.distribution(), self.fresh,
        ]  # fmt: skip


def traffic(seed: int, count: int, loss: float, disorder: float) -> tuple[Headers, NDArray[np.int64]]:
    """Packets a millisecond apart, near where numbers and timestamps wrap: lost, delayed, copied. The first two take
    least, so that no packet changes what the one before it is compared with."""
    r = np.random.default_rng(seed)
    numbers = np.arange(count) + (1 << 16) - count // 2
    delays = r.integers(1, MS, count) + (r.random(count) < disorder) * r.integers(0, 30 * MS, count)
    delays[:2] = 0
    kept = (r.random(count) >= loss) | (np.arange(count) < 2)
    copies = np.flatnonzero(kept & (r.random(count) < disorder))
    rows = np.concatenate((np.flatnonzero(kept), copies))
    times = START + rows * MS + delays[rows]
    times[len(rows) - len(copies) :] += r.integers(0, 20 * MS, len(copies))
    order = np.argsort(times, kind="stable")
    rows, times = rows[order], times[order]
    n = len(rows)
    zeros = np.zeros(n, np.uint8)
    timestamps = (rows * (RATE // 1000) + (1 << 32) - 5000).astype(np.uint32)
    sequence = (numbers[rows] & 0xFFFF).astype(np.uint16)
    where = np.zeros(n, np.int64)
    return Headers(zeros, zeros + 96, zeros > 0, sequence, timestamps, np.ones(n, np.uint32), where, where), times


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 1 << 30),
    st.integers(4, 1500),
    st.sampled_from([0.0, 0.01, 0.3]),
    st.sampled_from([0.0, 0.02, 0.4]),
    st.integers(1, 300),
)
def test_one_by_one_is_the_same_as_together(seed: int, count: int, loss: float, disorder: float, most: int) -> None:
    headers, times = traffic(seed, count, loss, disorder)
    r = np.random.default_rng(seed + 1)
    alone, together = Books(), Books()
    at = 0
    while at < len(times):
        part = slice(at, at + int(r.integers(1, most + 1)))
        alone.one_by_one(headers.select(part), times[part])
        together.batch(headers.select(part), times[part])
        now, behind = times[part].item(-1), int(r.integers(0, 60))
        dropped = not disorder and r.random() < 0.1  # what is overtaken was taken for dropped, one by one
        for books in (alone, together):
            if (reception := books.ledger.reception()) is not None:
                books.ledger.decide(reception.extended_highest_sequence + (1 << 16) - behind)
            books.ledger.close(now, 500 * MS)
            if dropped:
                books.ledger.drop_locally(LocalDrop(3, exact=True))
        at = part.stop
    for books in (alone, together):
        books.ledger.finish()
        books.losses.finish()
    assert alone.figures() == together.figures()
    assert abs(alone.delay.jitter_ticks - together.delay.jitter_ticks) <= 1
