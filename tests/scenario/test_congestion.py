"""A path that carries less than is sent: the sender follows it. Loss, jitter and routes alone limit nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest

from receiver.events import RateLimited
from tests.scenario import told
from tests.support import pair, traffic
from tests.support.clock import MILLISECOND as MS
from tests.support.clock import SECOND
from tests.support.encoder import Encoder
from tests.support.netem import IP_UDP_OVERHEAD, Conditions

NARROW = Conditions(delay=20 * MS, rate=1_000_000, queue_time=300 * MS)
WIDE = Conditions(delay=20 * MS)


@dataclass
class Run:
    """Two sessions with an encoder, for as long as is asked for."""

    pair: pair.Pair
    encoder: Encoder
    started: int

    @classmethod
    def begin(cls, conditions: Conditions, ceiling: int = 2_000_000, *, seed: int = 1, repair: bool = True) -> Run:
        back = Conditions(delay=conditions.delay)
        met = pair.meet(conditions, back=back, seed=seed, streams=pair.REPAIRED, repair="auto" if repair else "none")
        return cls(met, Encoder(ceiling, seed=seed), met.clock.now)

    def go_on(self, duration: int) -> None:
        first = (self.pair.clock.now - self.started) // (20 * MS)
        sound = (
            replace(item, timestamp=item.timestamp + 960 * first)
            for item in traffic.audio(duration, stream=1, first=first)
        )
        self.pair.run(traffic.together(self.encoder.video(self.pair, duration), sound))

    def delays(self, since: int, until: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """ms from capture to release of the whole pictures captured in this time, ns since the beginning."""
        shown = [
            (traffic.frame_number(unit.data) * SECOND // 30, now - self.started)
            for now, unit in self.pair.units
            if unit.format.media == "video" and unit.data and not unit.missing
        ]
        return np.array([(out - captured) / MS for captured, out in shown if since <= captured < until])

    def longest_wait(self, since: int, until: int) -> float:
        """ms between whole pictures."""
        out = [
            now - self.started
            for now, unit in self.pair.units
            if unit.format.media == "video" and unit.data and not unit.missing
        ]
        within = [moment for moment in out if since <= moment < until]
        return max(np.diff(np.array([since, *within, until])) / MS)

    def carried(self, since: int, until: int) -> float:
        """bit/s that left the bottleneck."""
        delay = self.pair.forward.conditions.delay
        sizes = [
            fate.size + IP_UDP_OVERHEAD
            for fate in self.pair.forward.log
            for arrival in fate.arrivals
            if since <= arrival - delay - self.started < until
        ]
        return sum(sizes) * 8 * SECOND / (until - since)

    @property
    def limits(self) -> list[RateLimited]:
        """As the receiver told them."""
        return [event for _, event in self.pair.receiver_events if isinstance(event, RateLimited)]


@pytest.mark.parametrize(("seed", "repair"), [(1, True), (2, False)])
def test_twice_what_a_bottleneck_carries(seed: int, repair: bool) -> None:
    """Ten seconds on, the delay is short, nothing freezes, and the path is used."""
    run = Run.begin(NARROW, seed=seed, repair=repair)
    run.go_on(40 * SECOND)
    settled = 10 * SECOND, 39 * SECOND
    assert np.percentile(run.delays(*settled), 95) <= 200
    assert run.longest_wait(*settled) <= 150
    assert run.carried(*settled) >= 0.7e6
    assert run.limits
    assert run.limits[0].time - run.started < 3 * SECOND


def test_capacity_up_and_down() -> None:
    """RFC 8867 §5.1: 1.0, 2.5, 0.6 and 1.0 of 1 Mbit/s; at most 1.5 Mbit/s of video; 50 ms one way, 300 ms of queue."""
    run = Run.begin(replace(NARROW, delay=50 * MS), 1_500_000)
    begins = (0, 40, 60, 80, 100)
    for rate, (since, until) in zip((1.0, 2.5, 0.6, 1.0), pairwise(begins), strict=True):
        if since:
            run.pair.forward.change(replace(NARROW, delay=50 * MS, rate=rate * 1e6))
        run.go_on((until - since) * SECOND)
        settled = (since + 8) * SECOND, (until - 1) * SECOND
        assert np.percentile(run.delays(*settled), 95) <= 250, rate
        assert run.carried(*settled) >= 0.7e6 * min(rate, 1.5), rate


@pytest.mark.parametrize(
    "conditions",
    [
        WIDE,
        replace(WIDE, loss=0.1),
        replace(WIDE, jitter=30 * MS),
        replace(WIDE, delay=100 * MS, jitter=30 * MS),
        replace(WIDE, delay=100 * MS, jitter=30 * MS, loss=0.1),
        replace(WIDE, delay=100 * MS, jitter=30 * MS, reordering=False),
        replace(WIDE, delay_steps=((8 * SECOND, 200 * MS),)),
        replace(WIDE, delay_steps=((8 * SECOND, 200 * MS),), loss=0.1),
        replace(WIDE, blackouts=((8 * SECOND, 10 * SECOND),)),
        replace(WIDE, rate=5_000_000, queue_time=300 * MS),
    ],
    ids=["clean", "loss", "jitter", "far", "far and loss", "in order", "route", "route and loss", "blackout", "room"],
)
def test_no_congestion(conditions: Conditions) -> None:
    """Nothing stands in a queue: no limit, and the encoder keeps its rate."""
    run = Run.begin(conditions)
    run.go_on(14 * SECOND)
    assert run.limits == []
    assert set(run.encoder.rates) == {2_000_000}


def test_a_limit_ends_with_its_reason() -> None:
    run = Run.begin(NARROW, 1_500_000)
    run.go_on(10 * SECOND)
    run.pair.forward.change(WIDE)
    run.go_on(40 * SECOND)
    assert run.limits[-1].bitrate is None
    assert run.encoder.rate == 1_500_000
    assert told.statistics(run.pair).streams[0].rate_limit is None


def test_a_receiver_that_falls_silent_limits_nothing() -> None:
    run = Run.begin(NARROW)
    run.go_on(6 * SECOND)
    assert run.encoder.rate < 1_000_000
    run.pair.back.change(Conditions(loss=1.0))
    run.go_on(6 * SECOND)
    assert run.encoder.rate == 2_000_000


def test_sound_alone_is_not_limited() -> None:
    met = pair.meet(replace(NARROW, rate=40_000), back=WIDE)
    met.run(traffic.audio(20 * SECOND, stream=1))
    assert not [event for _, event in met.receiver_events if isinstance(event, RateLimited)]
