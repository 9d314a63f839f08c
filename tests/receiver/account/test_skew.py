"""The sender's clock rate as seen through the seeded network."""

from __future__ import annotations

import numpy as np
import pytest

from receiver.account.clock import SenderClock
from receiver.account.skew import slope
from tests.support.netem import Conditions, Link

MS = 1_000_000
SECOND = 1_000_000_000
START = 5_000 * SECOND


def found(conditions: Conditions, ppm: float, *, packets: int, seconds: int = 60, seed: int = 1) -> float | None:
    """What is said of a sender whose clock is `ppm` slower, after `packets` a second came through the network."""
    link = Link(conditions, seed, log=False)
    for n in range(packets * seconds):
        link.send(n.to_bytes(12), START + n * SECOND // packets)
    arrived = link.due(1 << 62)
    numbers, arrivals = np.array([int.from_bytes(data) for _, data in arrived]), np.array([at for at, _ in arrived])
    ticks = np.round(numbers / packets * 90_000 * (1 - ppm * 1e-6)).astype(np.int64) + (1 << 32)
    clock = SenderClock(90_000)
    for at in range(0, len(ticks), 8):
        clock.observe(ticks[at : at + 8], arrivals[at : at + 8])
    return clock.skew_ppm


@pytest.mark.parametrize("ppm", [100, -100, 0])
@pytest.mark.parametrize("seed", range(4))
def test_100_ppm_within_5_in_a_minute_under_10_ms_of_jitter(ppm: int, seed: int) -> None:
    assert found(Conditions(delay=20 * MS, jitter=10 * MS), ppm, packets=50, seed=seed) == pytest.approx(ppm, abs=5)


@pytest.mark.parametrize("seed", range(4))
def test_jitter_that_never_reaches_the_least_delay_takes_more_packets(seed: int) -> None:
    # delay varies to both sides: 1 packet in 740 takes the least, and all tell no more than a mean does
    assert found(Conditions(delay=50 * MS, jitter=10 * MS), 100, packets=300, seed=seed) == pytest.approx(100, abs=5)


def test_loss_and_a_change_of_route_do_not_matter() -> None:
    conditions = Conditions(delay=12 * MS, jitter=6 * MS, loss=0.1, delay_steps=((30 * SECOND, 25 * MS),))
    assert found(conditions, 100, packets=50, seconds=90) == pytest.approx(100, abs=5)


def test_nothing_is_said_of_a_short_history() -> None:
    assert found(Conditions(delay=20 * MS), 100, packets=50, seconds=15) is None
    assert slope(np.arange(3.0), np.zeros(3), np.zeros(3), 0.0) is None


@pytest.mark.parametrize("change", [-0.030, 0.030])
def test_a_step_halfway_is_no_skew(change: float) -> None:
    times = np.arange(60.0)
    random = np.random.default_rng(2)
    level = np.where(times < 30, 0.050, 0.050 + change) + 30e-6 * times
    least, mean = level + random.exponential(2e-4, 60), level + 0.01 + random.normal(0, 1e-3, 60)
    assert slope(times, least, mean, 0.0) == pytest.approx(30e-6, abs=5e-6)
