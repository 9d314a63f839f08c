"""The curve against sessions that really ran with a fixed latency over the same network."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.account.histogram import Histogram
from receiver.account.needed_buffer import buffer_for, curve, distribution
from receiver.config import Latency
from tests.scenario import told
from tests.support import pair, traffic
from tests.support.clock import MILLISECOND, SECOND
from tests.support.netem import Conditions


def bins(values: list[int]) -> dict[int, int]:
    histogram = Histogram()
    histogram.add(np.array(values, np.int64))
    return histogram.bins()


def late_at(points: tuple[tuple[float, float], ...], ms: float) -> float:
    """The share that the curve says is late with so much buffer."""
    return min(late for at, late in points if at <= ms)


@given(st.lists(st.integers(0, 5_000_000), min_size=1, max_size=300))
def test_the_curve_is_the_tail_of_the_delays(micros: list[int]) -> None:
    points = curve(bins(micros))
    assert points[0][0] == 0
    assert points[0][1] == pytest.approx(sum(micro > 0 for micro in micros) / len(micros))
    assert points[-1][1] == 0
    assert max(micros) / 1000 <= points[-1][0] <= max(micros) / 1000 * 1.033 + 0.001 or not max(micros)
    assert all(a[0] < b[0] and a[1] > b[1] for a, b in itertools.pairwise(points))
    for ms, late in points:  # a packet counts as late up to the end of its bin of 3 %
        assert sum(micro > ms * 1000 for micro in micros) / len(micros) <= late + 1e-9
        assert late <= sum(micro > ms * 1000 / 1.033 - 1 for micro in micros) / len(micros) + 1e-9


@given(st.lists(st.integers(0, 5_000_000), max_size=300))
def test_the_distribution_has_every_packet(micros: list[int]) -> None:
    rows = distribution(bins(micros))
    assert sum(count for _, count in rows) == len(micros)
    assert list(rows) == sorted(rows)
    assert len(rows) <= 8 * 14


def test_the_buffer_for_a_share() -> None:
    points = ((0.0, 0.8), (10.0, 0.02), (50.0, 0.0))
    assert [buffer_for(points, share) for share in (1.0, 0.05, 0.001, 0.0)] == [0.0, 10.0, 50.0, 50.0]
    assert buffer_for((), 0.5) is None
    assert curve({}) == ()


def test_sessions_with_that_latency_have_that_share_of_late_packets() -> None:
    hold = {n: (n * 37 % 90) * MILLISECOND for n in range(60, 1000, 7)}
    conditions = Conditions(delay=30 * MILLISECOND, jitter=5 * MILLISECOND, hold=hold)

    def run(latency: Latency) -> tuple[float, tuple[tuple[float, float], ...]]:
        p = pair.meet(conditions, Conditions(), streams=(pair.AUDIO,), latency=latency, log=False)
        p.run(traffic.audio(20 * SECOND))
        p.finish()
        s = told.stream(p, "audio")
        return s.ledger.late / s.ledger.arrived, curve(s.delays)

    _, points = run(Latency())
    for ms in (10, 15, 20, 40, 60, 80):
        late, own = run(Latency(fixed=ms * MILLISECOND))
        for told_points in (points, own):  # the width of a bin, 3 %, and as much for the least transit, which moves
            assert late_at(told_points, ms * 1.06) - 0.01 <= late <= late_at(told_points, ms / 1.06) + 0.01
