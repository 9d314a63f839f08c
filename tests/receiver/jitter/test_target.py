"""The target delay on lateness as networks make it: calm, jitter, a spike, spikes again and again, another path."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from receiver.config import Latency
from receiver.jitter.target import AdaptiveDelay, FixedDelay, policy
from tests.support.clock import MILLISECOND as MS
from tests.support.clock import SECOND

PACKET = 20 * MS


def sound() -> AdaptiveDelay:
    target = policy(Latency(), "audio")
    assert isinstance(target, AdaptiveDelay)
    return target


def feed(target: AdaptiveDelay, lateness: Iterable[int], start: int = 0) -> int:
    """One packet each 20 ms, in order; ns at which the next is captured."""
    for late in lateness:
        target.awaited(int(late), start + int(late))
        target.observe(int(late), start + int(late))
        start += PACKET
    return start


def spike(length: int) -> list[int]:
    """A path that stands still for `length` packets, and then delivers them at once."""
    return [PACKET * left for left in range(length, 0, -1)]


def test_a_fixed_delay_never_moves() -> None:
    target = policy(Latency(fixed=60 * MS), "video")
    assert isinstance(target, FixedDelay)
    target.observe(SECOND, SECOND)
    target.rebase(SECOND)
    assert (target.delay, target.patience) == (60 * MS, 0)


def test_what_repairs_is_waited_for_by_all_but_the_hasty() -> None:
    target, hasty, fixed = sound(), policy(Latency(caution=0.0), "audio"), policy(Latency(fixed=10 * MS), "audio")
    for each in (target, hasty, fixed):
        each.wait_for_repair(46 * MS)
    feed(target, [0] * 100)
    assert target.delay == 46 * MS
    assert isinstance(hasty, AdaptiveDelay)
    feed(hasty, [0] * 100)
    assert hasty.delay <= 2 * MS
    assert fixed.delay == 10 * MS
    target.wait_for_repair(0)
    feed(target, [0] * 100, start=2 * SECOND)
    assert target.delay <= 2 * MS


def test_calm_needs_next_to_nothing() -> None:
    target = sound()
    feed(target, [0] * 100)
    assert target.delay <= 2 * MS


def test_it_covers_all_but_its_share_of_the_jitter() -> None:
    target = sound()
    lateness = np.random.default_rng(1).gamma(2.0, 8.0, 3000) * MS
    feed(target, lateness)
    assert np.mean(lateness[-500:] > target.delay) < 0.02
    assert target.delay < 1.5 * lateness[-600:].max()


def test_steady_jitter_is_waited_for_steadily() -> None:
    target = sound()
    delays = []
    now = 0
    for late in np.random.default_rng(4).uniform(0, 40 * MS, 3000):
        now = feed(target, [late], now)
        delays.append(target.delay / MS)
    assert np.std(delays[1000:]) < 4


def test_it_rises_within_a_second_and_moves_no_quicker_than_sound_can_be_stretched() -> None:
    """After jitter of 80 ms, in calm: a quarter of the time that passes."""
    target = sound()
    now = feed(target, [0] * 600)
    now = feed(target, np.random.default_rng(2).uniform(0, 80 * MS, 50), now)
    assert target.delay > 60 * MS
    steps = []
    for _ in range(1500):
        before = target.delay
        now = feed(target, [0], now)
        steps.append(before - target.delay)
    assert target.delay <= 3 * MS
    assert max(steps[1:]) <= PACKET // 4 + 1


@pytest.mark.parametrize("length", [1, 5, 15])
def test_one_spike_leaves_next_to_nothing_behind(length: int) -> None:
    target = sound()
    now = feed(target, [0] * 100)
    before = target.delay
    now = feed(target, spike(length), now)
    feed(target, [0] * 50, now)
    assert target.delay <= before + 10 * MS


def test_what_was_late_while_programs_began_is_forgotten_after_two_seconds() -> None:
    rng = np.random.default_rng(8)
    target = sound()
    late = [20 * MS + int(rng.random() * 20 * MS) for _ in range(10)]
    now = feed(target, late + [MS] * 60)
    assert target.delay >= 15 * MS, "so far it may be the path"
    feed(target, [MS] * 60, now)
    assert target.delay <= 5 * MS


def test_spikes_each_second_are_waited_for() -> None:
    target = sound()
    now = 0
    for _ in range(20):
        now = feed(target, [0] * 45 + spike(5), now)
    feed(target, [0] * 45, now)
    assert target.delay >= 100 * MS


def test_repairs_are_waited_for_when_that_is_cheaper() -> None:
    """One packet in twenty complete 49 ms late, after others: lost they would cost 245 ms, waiting costs 49. One in
    a thousand is not worth it."""
    for every, least, most in ((20, 49, 60), (1000, 0, 10)):
        target = sound()
        for number in range(4000):
            late = 49 * MS if number % every == 7 else 0
            target.observe(late, number * PACKET + late)
        assert least * MS <= target.delay <= most * MS


def test_sound_that_is_late_for_good_is_waited_for_at_once() -> None:
    """A way longer by 200 ms."""
    target = sound()
    now = feed(target, [0] * 300)
    late = 0
    for _ in range(50):
        target.awaited(200 * MS, now + 200 * MS)
        late += target.delay < 200 * MS
        target.observe(200 * MS, now + 200 * MS)
        now += PACKET
    assert late <= 10


def test_while_sound_is_overdue_the_rest_is_stretched() -> None:
    """Nothing comes for 200 ms: a fifth of that, from when the packet was overdue by 10 ms, is played slower."""
    target = sound()
    now = feed(target, [0] * 300)
    before = target.delay
    target.awaited(200 * MS, now + 200 * MS)
    assert target.delay == before + (200 - 10) * MS // 5


def test_a_slower_path_raises_it_until_the_least_transit_is_known_to_have_grown() -> None:
    target = sound()
    now = feed(target, [0] * 300)
    before = target.delay
    now = feed(target, [200 * MS] * 150, now)
    assert target.delay >= 200 * MS
    high = target.delay
    target.rebase(200 * MS)
    assert target.delay == high - 200 * MS, "playout does not move"
    feed(target, [0] * 200, now)
    assert target.delay <= before + 10 * MS


def test_it_is_bounded() -> None:
    target = sound()
    feed(target, [3600 * SECOND] * 500)
    assert SECOND // 2 <= target.delay <= 2 * SECOND


def test_caution_waits_longer() -> None:
    delays = []
    for caution in (0.0, 0.3, 0.9):
        target = policy(Latency(caution=caution), "audio")
        assert isinstance(target, AdaptiveDelay)
        feed(target, np.random.default_rng(3).gamma(2.0, 8.0, 600) * MS)
        delays.append(target.delay)
    assert delays == sorted(delays)
    assert delays[0] < delays[-1]
