"""What a load looks like, and that it is punctual."""

from __future__ import annotations

from itertools import islice, pairwise
from random import Random

import pytest

from protocol.shares import repair_packets, wilson
from sender.load import patterns
from sender.load.traffic import LATE, Traffic

SECOND = 1_000_000_000


def bits(units: list[patterns.Due]) -> int:
    """Of UDP payload: filler, and 12 octets of RTP header and 1 of the payload's own in each packet."""
    return sum(8 * (unit.filler + 13 * unit.packets) for unit in units)


@pytest.mark.parametrize("rate", [500_000, 20_000_000, 333_333_333, 1_000_000_000])
def test_even_packets_make_the_rate_to_the_bit(rate: int) -> None:
    units = []
    for unit in patterns.even(rate, 1200):
        if unit.at >= 2 * SECOND:
            break
        units.append(unit)
    assert bits(units) == pytest.approx(2 * rate, abs=8 * 1200 * units[0].packets)
    gaps = [later.at - sooner.at for sooner, later in pairwise(units)]
    assert max(gaps) - min(gaps) <= 1
    assert units[0].packets == 1 or 0.6 * patterns.TICK < gaps[0] < 1.5 * patterns.TICK


def test_twenty_megabits_are_single_packets_half_a_millisecond_apart() -> None:
    first, second = islice(patterns.even(20_000_000, 1200), 2)
    assert (first.packets, second.at) == (1, 480_000)  # 1200 × 8 / 20 Mbit/s


def test_calls_are_as_many_as_the_rate_pays_for() -> None:
    number, units = patterns.calls(1_000_000)
    assert number == 15  # 172 octets × 8 × 50/s = 68.8 kbit/s each
    second = [unit for unit in islice(units, 1000) if unit.at < SECOND]
    assert sum(unit.packets for unit in second) == 15 * 50
    assert patterns.calls(10_000)[0] == 1


def test_pictures_hold_the_rate_over_a_group_and_begin_it_with_a_large_one() -> None:
    units = list(islice(patterns.pictures(2_000_000, 1200, 30, Random(1)), 120))
    assert bits(units) == pytest.approx(2_000_000 * 4, rel=0.001)
    assert [index for index, unit in enumerate(units) if unit.key_frame] == [0, 60]
    others = [unit.filler for unit in units if not unit.key_frame]
    assert units[0].filler > 3 * sum(others) / len(others)
    assert units[30].at == SECOND


def test_what_is_due_comes_once_and_in_order() -> None:
    traffic = Traffic(patterns.even(20_000_000, 1200), b"\x55" * 100)
    traffic.begin(7 * SECOND)
    assert traffic.next_time() == 7 * SECOND
    units = traffic.due(7 * SECOND + 1_000_000)
    assert [unit.capture_time - 7 * SECOND for unit in units] == [0, 480_000, 960_000]
    assert [unit.timestamp for unit in units] == [0, 43, 86]  # 90 kHz, rounded down
    assert {len(unit.data) for unit in units} == {1187}
    assert traffic.due(7 * SECOND + 1_000_000) == []
    assert traffic.punctuality().largest == 1_000_000


def test_a_machine_that_is_too_slow_leaves_packets_out_and_counts_them() -> None:
    traffic = Traffic(patterns.even(20_000_000, 1200), b"\x55")
    traffic.begin(0)
    units = traffic.due(SECOND)
    assert units[0].capture_time >= SECOND - LATE
    assert traffic.skipped == units[0].capture_time // 480_000
    assert len(units) + traffic.skipped == SECOND // 480_000 + 1


def test_wilson_as_published() -> None:
    # Newcombe 1998, Statistics in Medicine 17:857, table I, method 3.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson(0, 0) == (0.0, 1.0)


def test_repair_leaves_one_block_of_a_thousand() -> None:
    assert repair_packets(0.0, 20) == 0
    drawn = Random(1)
    repair = repair_packets(0.02, 20)

    def beyond(repair: int) -> float:
        return sum(sum(drawn.random() < 0.02 for _ in range(20 + repair)) > repair for _ in range(20_000)) / 20_000

    assert beyond(repair) < 0.0015
    assert beyond(repair - 2) > 0.0015
