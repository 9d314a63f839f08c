"""Losses are told as soon as reordering has had its time, in whole runs."""

from __future__ import annotations

import numpy as np

from receiver.account.ledger import Ledger
from receiver.repair.losses import Losses
from tests.support.clock import MILLISECOND as MS


def play(lost: set[int], count: int, *, late: dict[int, int] | None = None) -> Losses:
    """A packet every 10 ms, looked at every 100; `late`: number → ms that it comes later."""
    ledger, losses = Ledger(), Losses()
    late = late or {}
    arrivals = sorted((10 * n + late.get(n, 0), n) for n in range(count) if n not in lost)
    for now in range(0, 10 * count + 1000, 100):
        while arrivals and arrivals[0][0] <= now:
            moment, number = arrivals.pop(0)
            ledger.arrive(np.array([1000 + number]), np.array([moment * MS]))
        losses.look(ledger, now * MS)
    return losses


def test_runs_are_counted_whole_wherever_the_looks_fall() -> None:
    lost = {5, *range(48, 53), *range(98, 101), 150}
    losses = play(lost, 200)
    assert losses.runs == {1: 2, 5: 1, 3: 1}
    assert losses.expected == 200 - 1, "nothing is known of what is before the first look"


def test_what_is_only_late_is_not_lost() -> None:
    assert not play(set(), 200, late=dict.fromkeys(range(20, 200, 7), 150)).runs


def test_what_did_not_come_in_200_ms_is() -> None:
    assert play(set(), 200, late={50: 900}).runs == {1: 1}


def test_nothing_is_lost_of_nothing() -> None:
    losses = Losses()
    losses.look(Ledger(), 0)
    assert (losses.expected, losses.runs) == (0, {})


def test_missing_numbers_that_wrap_around_the_ring() -> None:
    ledger = Ledger()
    numbers = np.array([n for n in range(4000, 4300) if not 4090 <= n < 4100])
    ledger.arrive(numbers, np.arange(len(numbers)) * MS)
    assert np.flatnonzero(ledger.missing(4000, 4300)).tolist() == list(range(90, 100))
    assert ledger.missing(4095, 4098).tolist() == [True] * 3
    assert not ledger.missing(4000, 4090).any()
    assert ledger.highest == 4299
