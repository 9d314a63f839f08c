"""The derived figures of whole sessions beside the network's log and its settings."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from receiver.config import Latency
from receiver.report.snapshot import StreamSnapshot
from tests.receiver.account.test_bursts import by_definition
from tests.scenario import told
from tests.support import pair, traffic
from tests.support.clock import MILLISECOND as MS
from tests.support.clock import SECOND
from tests.support.netem import Conditions, GilbertElliott, rtp_only
from tests.support.pair import Pair

MODEL = GilbertElliott(p=0.02, r=0.25)
THERE, BACK = 35 * MS, 10 * MS


def sound(seconds: int) -> Iterator[traffic.Item]:
    return traffic.audio(seconds * SECOND)


@pytest.fixture(scope="module")
def ended() -> tuple[Pair, StreamSnapshot]:
    """Two minutes of sound: bursts of loss, copies, another order, two ways of unequal length."""
    forward = Conditions(delay=THERE, jitter=4 * MS, bursts=MODEL, duplication=0.02, only=rtp_only)
    p = pair.meet(forward, Conditions(delay=BACK), streams=(pair.AUDIO,), latency=Latency(fixed=200 * MS), seed=4)
    p.run(sound(120))
    p.finish()
    (snapshot,) = told.snapshots(p)
    return p, snapshot


def fates(p: Pair) -> list[bool]:
    """Which packets were lost, by the network's log."""
    return [not fate.arrivals for fate in p.forward.log if rtp_only(fate.head)]


def test_bursts_are_those_of_the_log(ended: tuple[Pair, StreamSnapshot]) -> None:
    p, snapshot = ended
    expected, found = by_definition(fates(p), 16), snapshot.bursts
    assert found is not None
    assert (found.gmin, found.count) == (16, expected.bursts)
    assert found.burst_density == pytest.approx(expected.burst_density)
    assert found.gap_density == pytest.approx(expected.gap_density)
    assert found.burst_duration_ms == pytest.approx(20 * (expected.burst_length or 0), rel=0.01)


def test_the_loss_model_is_that_of_the_log(ended: tuple[Pair, StreamSnapshot]) -> None:
    # everything is lost in the bad state and nothing in the good one, so the log shows the states
    p, snapshot = ended
    lost, model = fates(p), snapshot.gilbert_elliott
    steps = list(itertools.pairwise(lost))
    assert model is not None
    assert model.p.value == pytest.approx(steps.count((False, True)) / lost.count(False), rel=0.02)
    assert model.r.value == pytest.approx(steps.count((True, False)) / lost.count(True), rel=0.02)
    assert model.loss_in_bad.high == 1
    assert model.loss_in_good.low == 0


def test_every_packet_that_arrived_is_in_the_distribution(ended: tuple[Pair, StreamSnapshot]) -> None:
    p, snapshot = ended
    assert sum(count for _, count in snapshot.delay_distribution) == snapshot.ledger.arrived
    assert sum(snapshot.reordering_extent.values()) == snapshot.ledger.reordered
    transits = [min(f.arrivals) - f.send_time for f in p.forward.log if f.arrivals and rtp_only(f.head)]
    spread = (max(transits) - min(transits)) / MS
    assert snapshot.needed_buffer[-1][0] == pytest.approx(spread, rel=0.04, abs=1)


def test_round_trip_and_one_way_delay(ended: tuple[Pair, StreamSnapshot]) -> None:
    p, snapshot = ended
    assert snapshot.rtt_ms == pytest.approx((THERE + BACK) / MS, abs=0.5)
    transits = [min(f.arrivals) - f.send_time for f in p.forward.log if f.arrivals and rtp_only(f.head)]
    assert snapshot.one_way_delay_ms is not None
    assert snapshot.one_way_delay_error_ms is not None
    assert abs(snapshot.one_way_delay_ms - min(transits) / MS) <= snapshot.one_way_delay_error_ms
    assert snapshot.one_way_delay_error_ms <= (THERE + BACK) / MS / 2 + 0.05


def test_traffic_is_what_the_network_delivered(ended: tuple[Pair, StreamSnapshot]) -> None:
    p, snapshot = ended
    assert snapshot.traffic is not None
    media = [fate for fate in p.forward.log if rtp_only(fate.head) for _ in fate.arrivals]
    assert snapshot.traffic.media == sum(fate.size - 12 for fate in media)
    assert snapshot.traffic.headers == len(media) * (12 + 8 + 20)
    assert 0 < snapshot.traffic.rtcp <= sum(f.size + 28 for f in p.forward.log if not rtp_only(f.head) and f.arrivals)


def test_the_estimate_has_the_inputs_it_names(ended: tuple[Pair, StreamSnapshot]) -> None:
    snapshot = ended[1]
    assert snapshot.e_model is not None
    assert snapshot.e_model.loss == pytest.approx(snapshot.ledger.missed / snapshot.ledger.span)
    assert snapshot.e_model.delay_ms == pytest.approx((snapshot.one_way_delay_ms or 0) + 200, abs=2)
    assert snapshot.e_model.burst_ratio == pytest.approx(4.0 * (1 - snapshot.e_model.loss), rel=0.15)


def test_intervals_add_up(ended: tuple[Pair, StreamSnapshot]) -> None:
    snapshot = ended[1]
    for name in ("sent", "arrived", "lost", "missed", "late", "duplicates", "reordered"):
        assert sum(row.counts[name] for row in snapshot.intervals) == getattr(snapshot.ledger, name)


def test_what_was_not_exchanged_is_not_known() -> None:
    p = pair.meet(Conditions(delay=20 * MS), Conditions(loss=1.0), streams=(pair.AUDIO,))
    p.run(sound(5))
    (snapshot,) = told.snapshots(p)
    assert (snapshot.rtt_ms, snapshot.one_way_delay_ms, snapshot.e_model, snapshot.clock_skew_ppm) == (None,) * 4
    assert snapshot.gilbert_elliott is None
