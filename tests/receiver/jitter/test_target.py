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
    """One packet each 20 ms; ns at which the next is captured."""
    for late in lateness:
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


def test_calm_needs_next_to_nothing() -> None:
    target = sound()
    feed(target, [0] * 100)
    assert target.delay <= 2 * MS


def test_it_covers_all_but_its_share_of_the_jitter() -> None:
    target = sound()
    lateness = np.random.default_rng(1).gamma(2.0, 8.0, 3000) * MS
    feed(target, lateness)
    assert np.mean(lateness[-500:] > target.delay) < 0.02
    assert target.delay < lateness[-600:].max() + 2 * MS


def test_it_rises_within_a_second_and_falls_no_quicker_than_sound_can_follow() -> None:
    target = sound()
    now = feed(target, [0] * 600)
    now = feed(target, np.random.default_rng(2).uniform(0, 80 * MS, 50), now)
    high = target.delay
    assert high > 60 * MS
    steps = []
    for _ in range(1500):
        before = target.delay
        now = feed(target, [0], now)
        steps.append(before - target.delay)
    assert target.delay <= 2 * MS
    assert max(steps) <= PACKET * 4 // 1000 + 1, "4 ms a second"


@pytest.mark.parametrize("length", [1, 5, 15])
def test_one_spike_moves_nothing(length: int) -> None:
    target = sound()
    now = feed(target, [0] * 100)
    before = target.delay
    now = feed(target, spike(length), now)
    feed(target, [0] * 10, now)
    assert target.delay == before


def test_spikes_each_second_are_waited_for() -> None:
    target = sound()
    now = 0
    for _ in range(10):
        now = feed(target, [0] * 45 + spike(5), now)
    assert target.delay >= 100 * MS


def test_a_slower_path_raises_it_until_the_least_transit_is_known_to_have_grown() -> None:
    target = sound()
    now = feed(target, [0] * 300)
    before = target.delay
    now = feed(target, [200 * MS] * 150, now)
    assert target.delay >= 200 * MS
    target.rebase(200 * MS)
    assert target.delay == before
    feed(target, [0] * 100, now)
    assert target.delay == before


def test_it_is_bounded() -> None:
    target = sound()
    feed(target, [3600 * SECOND] * 50)
    assert target.delay == 2 * SECOND


def test_caution_waits_longer() -> None:
    delays = []
    for caution in (0.0, 0.3, 0.9):
        target = policy(Latency(caution=caution), "audio")
        assert isinstance(target, AdaptiveDelay)
        feed(target, np.random.default_rng(3).gamma(2.0, 8.0, 600) * MS)
        delays.append(target.delay)
    assert delays == sorted(delays)
    assert delays[0] < delays[-1]
