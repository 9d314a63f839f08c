"""Exchanges over the seeded network, whose two ways differ: the bound must hold, and be no wider than it may."""

from __future__ import annotations

import pytest

from receiver.account.one_way import TwoWay
from tests.support.netem import Conditions, Link

MS = 1_000_000
SECOND = 1_000_000_000
AHEAD = 1_700_000_000 * SECOND


def exchanges(there: Conditions, back: Conditions, *, seed: int = 1, count: int = 30, skew: float = 0.0) -> TwoWay:
    """One a second with a sender that answers after 7 ms; media that takes the least transit comes all the time."""
    out, home, two_way = Link(there, seed), Link(back, seed + 1), TwoWay()
    for n in range(count):
        t1 = (100 + n) * SECOND
        ask = out.send(b"\x80" * 12, t1)
        if not ask.arrivals:
            continue
        answered = ask.arrivals[0] + 7 * MS
        answer = home.send(b"\x80" * 12, answered)
        if answer.arrivals:
            t4 = answer.arrivals[0]
            transit = back.delay - wall(0, skew, t4)
            two_way.exchange(t1, wall(ask.arrivals[0], skew), wall(answered, skew), t4, transit)
    return two_way


def wall(moment: int, skew: float, at: int | None = None) -> int:
    """The sender's wall clock; with `at`, its lead over the local one then."""
    at = moment if at is None else at
    return moment + AHEAD - int(skew * at)


@pytest.mark.parametrize(("there", "back"), [(5, 45), (45, 5), (20, 20), (1, 120)])
@pytest.mark.parametrize("seed", range(5))
def test_the_true_delay_lies_within_the_bound(there: int, back: int, seed: int) -> None:
    # queues make the exchanges longer, never shorter than the media of least transit
    hold = {n: (n * 7919 + seed) % 20 * MS for n in range(1, 30)}
    to, fro = Conditions(delay=there * MS, loss=0.1, hold=hold), Conditions(delay=back * MS, loss=0.1, hold=hold)
    found = exchanges(to, fro, seed=seed).one_way
    assert found is not None
    assert abs(found.delay - back * MS) <= found.error
    quiet = exchanges(Conditions(delay=there * MS), Conditions(delay=back * MS), seed=seed).one_way
    assert quiet is not None
    assert abs(quiet.delay - back * MS) <= quiet.error <= (there + back) * MS / 2 + 1


def test_the_round_trip_is_that_of_the_network() -> None:
    two_way = exchanges(Conditions(delay=12 * MS), Conditions(delay=31 * MS))
    assert two_way.round_trip == pytest.approx(43 * MS, abs=MS / 2)


def test_a_skewed_clock_changes_nothing() -> None:
    found = exchanges(Conditions(delay=10 * MS), Conditions(delay=30 * MS), count=60, skew=200e-6).one_way
    assert found is not None
    assert abs(found.delay - 30 * MS) <= found.error <= 20 * MS + MS // 10


def test_equal_ways_are_found_exactly() -> None:
    two_way = exchanges(Conditions(delay=25 * MS), Conditions(delay=25 * MS))
    assert two_way.one_way is not None
    assert two_way.one_way.delay == pytest.approx(25 * MS, abs=10)
    assert two_way.offset == pytest.approx(AHEAD, abs=10)


def test_the_least_round_trip_is_believed_and_another_way_in_time() -> None:
    two_way = TwoWay()
    two_way.exchange(0, 30, 30, 100, 0)
    two_way.exchange(1000, 1005, 1005, 1010, 3)
    two_way.exchange(2000, 2030, 2030, 2100, 0)
    assert (two_way.offset, two_way.round_trip) == (0, 100)
    assert two_way.one_way is not None
    assert (two_way.one_way.delay, two_way.one_way.error) == (3, 5)
    for n in range(64):
        two_way.exchange(n, n + 30, n + 30, n + 100, 50)
    later = two_way.one_way
    assert later is not None
    assert (later.delay, later.error) == (30, 50)


def test_what_cannot_be_is_refused() -> None:
    two_way = TwoWay()
    assert not two_way.exchange(100, 0, 0, 50)
    assert not two_way.exchange(0, 100, 50, 100)
    assert not two_way.exchange(0, 0, 500_000, 100_000)
    assert two_way.exchange(0, 5_000, 115_000, 100_000)  # a unit of 1/65536 s off
    assert (two_way.round_trip, two_way.one_way) == (0, None)
    assert TwoWay().offset is None
