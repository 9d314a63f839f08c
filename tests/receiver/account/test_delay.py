"""Jitter against RFC 3550 A.8 worked out packet by packet, percentiles against NumPy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.account.delay import Delay, InterarrivalJitter
from receiver.account.histogram import Histogram

MILLISECOND = 1_000_000


def rfc_3550_a8(timestamps: list[int], arrivals_ms: list[float], ticks_per_ms: int) -> float:
    """The appendix's code, in RTP units."""
    transit, jitter = None, 0.0
    for timestamp, arrival in zip(timestamps, arrivals_ms, strict=True):
        now = arrival * ticks_per_ms - timestamp
        if transit is not None:
            jitter += (abs(now - transit) - jitter) / 16
        transit = now
    return jitter


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=3000), st.sampled_from([1, 3, 8, 9, 100, 5000]))
def test_batches_give_what_the_recurrence_gives(delays: list[int], size: int) -> None:
    timestamps = [1 << 32 | 160 * i for i in range(len(delays))]
    arrivals = [20 * i + delay for i, delay in enumerate(delays)]
    jitter, whole = InterarrivalJitter(8000), Delay(8000)
    for at in range(0, len(delays), size):
        batch = (
            np.array(timestamps[at : at + size], np.int64),
            np.array(arrivals[at : at + size], np.int64) * MILLISECOND,
        )
        jitter.observe(*batch)
        whole.count(whole.observe(*batch))
    expected = rfc_3550_a8(timestamps, [float(a) for a in arrivals], 8)
    assert jitter.nanoseconds == pytest.approx(expected / 8 * MILLISECOND, rel=1e-9, abs=1e-3)
    assert abs(whole.jitter_ticks - expected) <= 1


def test_no_jitter_before_two_packets() -> None:
    delay = Delay(8000)
    assert delay.jitter is None
    assert delay.variation()["p50"] is None
    delay.count(delay.observe(np.array([0]), np.array([0])))
    assert delay.jitter is None
    delay.count(delay.observe(np.array([160]), np.array([20 * MILLISECOND])))
    assert delay.jitter == 0


def test_variation_is_counted_from_the_least_transit() -> None:
    random = np.random.default_rng(3)
    excess = random.exponential(8, 20_000) * MILLISECOND
    excess[::50] = 0
    ticks = np.arange(20_000) * 960
    arrivals = (ticks * (1e9 / 48_000)).astype(np.int64) + excess.astype(np.int64) + 77 * MILLISECOND
    delay = Delay(48_000)
    for part in np.split(np.arange(20_000), 400):
        delay.count(delay.observe(ticks[part], arrivals[part]))
    for name, value in delay.variation().items():
        assert value == pytest.approx(np.percentile(excess, float(name[1:])), rel=0.04)


@given(st.lists(st.integers(-5, 1 << 50), min_size=1, max_size=60), st.floats(0.01, 1))
def test_histogram_percentiles_lie_within_their_bin(values: list[int], share: float) -> None:
    histogram = Histogram()
    histogram.add(np.array(values, np.int64))
    one_by_one = Histogram()
    for value in values:
        one_by_one.add(np.array([value], np.int64))
    assert histogram.bins() == one_by_one.bins()
    exact = sorted(max(0, v) for v in values)[max(0, int(np.ceil(round(share * len(values), 9))) - 1)]
    found = histogram.percentile(share)
    assert found is not None
    assert abs(found - exact) <= exact * 0.032
