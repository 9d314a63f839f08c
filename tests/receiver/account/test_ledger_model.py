"""The ledger against a plain model written from the definition: dictionaries, one packet at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.account.intervals import Interval
from receiver.account.ledger import Ledger, LedgerCounts

BASE = 65_530 + 65_536
"""a number just before its 16 bits wrap"""


@dataclass
class Model:
    """What measurement.md says, for numbers from `first` on."""

    first: int
    end: int = 0
    closed: int = 0
    decided: int = 0
    copies: dict[int, int] = field(default_factory=dict)
    fate: dict[int, str] = field(default_factory=dict)
    repaired: dict[int, str] = field(default_factory=dict)
    late: set[int] = field(default_factory=set)
    order: list[tuple[int, int]] = field(default_factory=list)
    after_recovery: set[int] = field(default_factory=set)
    after_close: int = 0
    before_join: int = 0
    received: int = 0

    def __post_init__(self) -> None:
        self.end = self.closed = self.decided = self.first

    def arrive(self, number: int, time: int) -> bool:
        self.received += 1
        if number < self.first:
            self.before_join += 1
            return False
        if number < self.closed:
            self.after_close += 1
            return False
        self.end = max(self.end, number + 1)
        self.copies[number] = self.copies.get(number, 0) + 1
        if self.copies[number] > 1:
            return False
        self.order.append((number, time))
        if self.fate.get(number) == "missed":
            self.late.add(number)
        elif number in self.fate:
            self.after_recovery.add(number)
        return True

    def recover(self, number: int, how: str) -> None:
        self.end = max(self.end, number + 1)
        if number >= self.decided and number not in self.copies:
            self.repaired.setdefault(number, how)

    def decide(self, until: int) -> None:
        for number in range(self.decided, min(until, self.end)):
            self.fate[number] = "in_time" if number in self.copies else self.repaired.get(number, "missed")
        self.decided = max(self.decided, min(until, self.end))

    def close(self, until: int) -> None:
        self.decide(until)
        self.closed = max(self.closed, min(until, self.end))

    def lost(self) -> set[int]:
        return set(range(self.first, self.end)) - set(self.copies)

    def runs(self, numbers: set[int]) -> dict[int, int]:
        runs: dict[int, int] = {}
        for present, group in groupby(range(self.first, self.closed), lambda n: n in numbers):
            if present:
                length = len(list(group))
                runs[length] = runs.get(length, 0) + 1
        return dict(sorted(runs.items()))

    def reordering(self) -> list[tuple[int, int]]:
        """(extent, late time in µs) by RFC 4737 §4.2.1 and §4.3."""
        return [(extent, late_time) for _, extent, late_time in self.reordered()]

    def reordered(self) -> list[tuple[int, int, int]]:
        """(number, extent, late time in µs), searched as the definition is worded."""
        found = []
        for i, (number, time) in enumerate(self.order):
            earlier = [j for j in range(i) if self.order[j][0] > number]
            if earlier:
                found.append((number, i - earlier[0], (time - self.order[earlier[0]][1]) // 1000))
        return found


def check(counts: LedgerCounts, model: Model) -> None:
    fates = list(model.fate.values())
    assert counts.span == model.end - model.first
    assert counts.arrived == len(model.copies)
    assert counts.lost == len(model.lost())
    assert counts.in_time == fates.count("in_time")
    assert counts.recovered_rtx == fates.count("rtx")
    assert counts.recovered_fec == fates.count("fec")
    assert counts.missed == fates.count("missed")
    assert counts.undecided == model.end - model.decided
    assert counts.late == len(model.late)
    assert counts.arrived_after_recovery == len(model.after_recovery)
    assert counts.replicated == sum(copies > 1 for copies in model.copies.values())
    assert counts.duplicates == sum(model.copies.values()) - len(model.copies)
    assert counts.after_close == model.after_close
    assert counts.before_join == model.before_join
    assert counts.reordered == len(model.reordering())
    assert counts.closed == model.closed - model.first
    assert counts.closed_lost == len([n for n in model.lost() if n < model.closed])
    assert counts.closed_late == len([n for n in model.late if n < model.closed])
    invariants(counts, model.received)


def check_intervals(rows: Sequence[Interval], model: Model) -> None:
    """Each row says what became of its own numbers, and together they are all numbers."""
    assert [row.first for row in rows] == [model.first, *(row.end for row in rows[:-1])]
    assert rows[-1].end == model.end
    reordered = [number for number, _, _ in model.reordered()]
    for row in rows:
        numbers = range(row.first, row.end)
        came = [n for n in numbers if n in model.copies]
        fates = [model.fate[n] for n in numbers]
        assert row.sent == len(numbers) > 0
        assert (row.arrived, row.lost) == (len(came), len(numbers) - len(came))
        assert (row.in_time, row.missed) == (fates.count("in_time"), fates.count("missed"))
        assert (row.recovered_rtx, row.recovered_fec) == (fates.count("rtx"), fates.count("fec"))
        assert row.late == len(model.late.intersection(numbers))
        assert row.arrived_after_recovery == len(model.after_recovery.intersection(numbers))
        assert row.duplicates == sum(model.copies[n] - 1 for n in came)
        assert row.reordered == sum(n in numbers for n in reordered)
        assert row.began <= row.ended


def invariants(counts: LedgerCounts, received: int) -> None:
    fates = counts.in_time + counts.recovered_rtx + counts.recovered_fec + counts.missed
    assert counts.span == counts.arrived + counts.lost == fates + counts.undecided
    assert received == counts.arrived + counts.duplicates + counts.after_close + counts.before_join
    assert counts.lost == counts.lost_network + counts.lost_local + counts.lost_sender
    parts = (counts.lost_network, counts.lost_local, counts.lost_sender, counts.arrived, counts.missed, counts.late)
    assert all(0 <= part <= counts.span for part in parts)


batches = st.lists(st.integers(-8, 12), min_size=1, max_size=9)
in_order = st.integers(1, 40).map(lambda n: list(range(1, n + 1)))
actions = st.one_of(
    st.tuples(st.just("arrive"), st.one_of(batches, in_order)),
    st.tuples(st.just("decide"), st.integers(-5, 12)),
    st.tuples(st.sampled_from(["rtx", "fec"]), batches),
    st.tuples(st.just("close"), st.integers(1, 4)),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(actions, max_size=40), st.integers(0, 3))
def test_agrees_with_the_definition(script: list[tuple[str, object]], drain: int) -> None:
    """Steps are relative to the highest number known, so that duplicates, holes and late packets all abound."""
    ledger, model = Ledger(), Model(BASE)
    second = 1_000_000_000
    now = 0
    seen: list[tuple[int, int]] = []
    ledger.arrive(np.array([BASE]), np.array([0]))
    ledger.set_range(BASE, BASE, 1, final=False, heard_from_start=True)
    model.arrive(BASE, 0)
    for name, value in script:
        if name in ("arrive", "rtx", "fec"):
            numbers = [model.end - 1 + step for step in value]  # type: ignore[attr-defined]
            if name == "arrive":
                times = [now + 1_000 * (i + 1) for i in range(len(numbers))]
                now = times[-1]
                fresh = ledger.arrive(np.array(numbers), np.array(times))
                assert fresh.tolist() == [model.arrive(n, t) for n, t in zip(numbers, times, strict=True)]
            else:
                ledger.recover(np.array(numbers), name)  # type: ignore[arg-type]
                for number in numbers:
                    model.recover(number, name)
        elif name == "decide":
            ledger.decide(model.end - 1 + value)  # type: ignore[operator]
            model.decide(model.end - 1 + value)  # type: ignore[operator]
        else:
            now += second * value  # type: ignore[operator]
            seen.append((now, model.end))
            ledger.close(now, drain * second)
            model.close(max((end for time, end in seen if time <= now - drain * second), default=0))
        check(ledger.counts(), model)
    ledger.finish()
    model.close(model.end)
    check(ledger.counts(), model)
    check_intervals(ledger.intervals(), model)
    assert ledger.loss_runs() == model.runs(model.lost())
    assert ledger.late_runs() == model.runs(model.late)
    assert sum(ledger.reordering_extents.bins().values()) == len(model.reordering())
    for extent, count in ledger.reordering_extents.bins().items():
        assert [e for e, _ in model.reordering()].count(extent) == count
    for late_time, count in ledger.late_times.bins().items():
        if late_time < 64:
            assert [t for _, t in model.reordering()].count(late_time) == count


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32), st.floats(0, 0.5), st.floats(0, 0.3), st.integers(50, 700))
def test_balances_over_long_random_streams(seed: int, loss: float, copied: float, size: int) -> None:
    """70,000 packets, more than 2**16, with loss, copies and local reordering, against NumPy's own set arithmetic."""
    random = np.random.default_rng(seed)
    sent = np.arange(BASE, BASE + 70_000)
    kept = sent[random.random(len(sent)) >= loss]
    arrivals = np.concatenate((kept, kept[random.random(len(kept)) < copied]))
    arrivals = arrivals[np.argsort(arrivals + random.random(len(arrivals)) * 30, kind="stable")]
    ledger = Ledger()
    for start in range(0, len(arrivals), size):
        part = arrivals[start : start + size]
        ledger.arrive(part, np.full(len(part), start))
        ledger.decide(int(part.max()) - 60)
    ledger.set_range(BASE - 65_536, BASE + 70_000 - 1 - 65_536, 70_000, final=True, heard_from_start=True)
    ledger.finish()
    counts = ledger.counts()
    invariants(counts, len(arrivals))
    assert counts.sent == 70_000
    assert counts.arrived == len(kept)
    assert counts.duplicates == len(arrivals) - len(kept)
    lost = np.isin(sent, kept, invert=True)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], lost.astype(int), [0]))))
    lengths, times = np.unique(edges[1::2] - edges[::2], return_counts=True)
    assert ledger.loss_runs() == dict(zip(lengths.tolist(), times.tolist(), strict=True))
