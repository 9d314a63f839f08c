"""Round trip and one-way delay that the receiver learns from echoes of its clock, against the network's own delays."""

from __future__ import annotations

import pytest

from tests.scenario import told
from tests.support import pair, traffic
from tests.support.clock import MILLISECOND as MS
from tests.support.clock import SECOND
from tests.support.netem import Conditions


@pytest.mark.parametrize(("there", "back"), [(20, 20), (60, 5), (5, 60)])
def test_round_trip_and_one_way_delay(there: int, back: int) -> None:
    p = pair.meet(Conditions(delay=there * MS), back=Conditions(delay=back * MS))
    p.run(traffic.together(traffic.video(10 * SECOND), traffic.audio(10 * SECOND, stream=1)))
    for stream in told.statistics(p).streams:
        assert stream.round_trip is not None
        assert abs(stream.round_trip - (there + back) * MS) < MS // 2
        assert stream.one_way is not None
        assert stream.one_way.error <= ((there + back) * MS + MS // 2) // 2
        assert abs(stream.one_way.delay - there * MS) <= stream.one_way.error + MS // 10


def test_under_jitter_the_bound_holds() -> None:
    """The least transit is that of a window, so it may be a little more than the least of all."""
    p = pair.meet(Conditions(delay=60 * MS, jitter=5 * MS), back=Conditions(delay=90 * MS, jitter=5 * MS))
    p.run(traffic.audio(30 * SECOND, stream=1))
    (stream,) = told.statistics(p).streams
    assert stream.one_way is not None
    least = min(fate.arrivals[0] - fate.send_time for fate in p.forward.log if fate.arrivals)
    assert abs(stream.one_way.delay - least) <= stream.one_way.error + 5 * MS
    assert 120 * MS <= 2 * stream.one_way.error <= 155 * MS


def test_without_answers_there_is_no_round_trip() -> None:
    p = pair.meet(Conditions(delay=20 * MS), back=Conditions(delay=20 * MS, loss=1.0))
    p.run(traffic.audio(5 * SECOND, stream=1))
    (stream,) = told.statistics(p).streams
    assert stream.round_trip is None
    assert stream.one_way is None
