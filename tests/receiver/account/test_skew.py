"""The sender's clock rate as seen through the seeded network."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from receiver.account.clock import SenderClock
from receiver.account.skew import slope
from tests.support.netem import Conditions, Link

MS = 1_000_000
SECOND = 1_000_000_000
START = 5_000 * SECOND


@dataclass(frozen=True)
class Traffic:
    """Units of so many packets, sent at once and with one timestamp."""

    units: int
    """a second."""
    packets: int = 1


SOUND, VIDEO = Traffic(50), Traffic(30, 7)
"""20 ms of sound in a packet; 2 Mbit/s at 30 pictures a second."""
ONE_SIDED, TWO_SIDED = Conditions(delay=20 * MS, jitter=10 * MS), Conditions(delay=50 * MS, jitter=10 * MS)
"""normal delays of 10 ms deviation: of the first, 1 packet in 44 takes no time; of the second, 1 in 740 the least."""


Arrived = tuple[np.ndarray, np.ndarray]
"""when each packet was sent (s since the first), and when it arrived (ns), in the order of arrival."""


def through(conditions: Conditions, traffic: Traffic, *, seconds: int = 60, seed: int = 1) -> Arrived:
    """What so many seconds of traffic become in the network."""
    link = Link(conditions, seed, log=False)
    for n in range(traffic.units * traffic.packets * seconds):
        link.send(n.to_bytes(12), START + n // traffic.packets * SECOND // traffic.units)
    arrived = link.due(1 << 62)
    units = np.array([int.from_bytes(data) for _, data in arrived]) // traffic.packets
    return units / traffic.units, np.array([at for at, _ in arrived])


def said(arrived: Arrived, ppm: float) -> float | None:
    """Of a sender whose clock is `ppm` slower."""
    sent, arrivals = arrived
    ticks = np.round(sent * 90_000 * (1 - ppm * 1e-6)).astype(np.int64) + (1 << 32)
    clock = SenderClock(90_000)
    for at in range(0, len(ticks), 8):
        clock.observe(ticks[at : at + 8], arrivals[at : at + 8])
    return clock.skew_ppm


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("reordering", [True, False])
@pytest.mark.parametrize("traffic", [SOUND, VIDEO])
def test_100_ppm_within_5_in_a_minute_under_10_ms_of_jitter(traffic: Traffic, reordering: bool, seed: int) -> None:
    arrived = through(replace(ONE_SIDED, reordering=reordering), traffic, seed=seed)
    for ppm in (100, -100):
        assert said(arrived, ppm) == pytest.approx(ppm, abs=5)


@pytest.mark.parametrize("seed", range(4))
def test_a_dozen_packets_of_least_delay_in_a_minute_are_enough(seed: int) -> None:
    arrived = through(TWO_SIDED, VIDEO, seed=seed)
    for ppm in (100, -100):
        assert said(arrived, ppm) == pytest.approx(ppm, abs=5)


# Where no packet is of the least delay, or too few, the means decide. Of n packets in T seconds no unbiased estimator's
# standard error is below σ √12 / (T √n) (Cramér–Rao, normal delays): in a minute 10.5 ppm for the sound and 5.1 ppm for
# the video, too much for ±5 ppm; in 200 s 1.7 and 0.8 ppm.


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("traffic", "reordering"), [(SOUND, True), (SOUND, False), (VIDEO, False)], ids=["overtaking", "sound", "video"]
)
def test_nothing_is_said_sooner_than_can_be_known(traffic: Traffic, reordering: bool, seed: int) -> None:
    arrived = through(replace(TWO_SIDED, reordering=reordering), traffic, seed=seed)
    for ppm in (100, -100):
        assert said(arrived, ppm) in (None, pytest.approx(ppm, abs=5))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("traffic", [SOUND, VIDEO])
def test_what_a_minute_cannot_tell_200_seconds_can(traffic: Traffic, seed: int) -> None:
    arrived = through(replace(TWO_SIDED, reordering=False), traffic, seconds=200, seed=seed)
    for ppm in (100, -100):
        assert said(arrived, ppm) == pytest.approx(ppm, abs=5)


def test_loss_and_a_change_of_route_do_not_matter() -> None:
    conditions = Conditions(delay=12 * MS, jitter=6 * MS, loss=0.1, delay_steps=((30 * SECOND, 25 * MS),))
    assert said(through(conditions, SOUND, seconds=90), 100) == pytest.approx(100, abs=5)


def test_nothing_is_said_of_a_short_history() -> None:
    assert said(through(Conditions(delay=20 * MS), SOUND, seconds=15), 100) is None
    assert slope(np.arange(3.0), np.zeros(3), np.zeros(3), np.ones(3), 0.0) is None


@pytest.mark.parametrize("change", [-0.030, 0.030])
def test_a_step_halfway_is_no_skew(change: float) -> None:
    times = np.arange(60.0)
    random = np.random.default_rng(2)
    level = np.where(times < 30, 0.050, 0.050 + change) + 30e-6 * times
    least, mean = level + random.exponential(2e-4, 60), level + 0.01 + random.normal(0, 1e-3, 60)
    line = slope(times * SECOND, least * SECOND, mean * SECOND, np.full(60, 50.0), 0.0)
    assert line is not None
    assert line.value == pytest.approx(30e-6, abs=5e-6)
    assert line.error < 5e-6


@pytest.mark.parametrize("shape", ["normal", "uniform", "exponential"])
def test_the_stated_error_holds_95_of_100_times(shape: str) -> None:
    random = np.random.default_rng(3)
    times = np.arange(60.0) * SECOND
    misses = lines = 0
    for _ in range(200):
        delays = getattr(random, shape)(size=(60, 50)) * 10 * MS
        line = slope(times, delays.min(axis=1), delays.mean(axis=1), np.full(60, 50.0), 0.0)
        if line is not None:
            lines += 1
            misses += abs(line.value) > line.error
    assert lines > 150
    assert misses <= 0.08 * lines  # 95 of 100, and what chance adds in 200 trials
