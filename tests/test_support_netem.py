"""The network that all scenarios trust: each impairment against its own definition."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support import truth
from tests.support.clock import MILLISECOND, SECOND, VirtualClock
from tests.support.netem import Conditions, GilbertElliott, Link, flip, rtp_only

MS = MILLISECOND
T0 = 5 * SECOND


def run(conditions: Conditions, n: int = 20_000, gap: int = MS, seed: int = 1, size: int = 100) -> Link:
    link = Link(conditions, seed)
    for i in range(n):
        link.send(rtp(i, size), T0 + i * gap)
    return link


def rtp(number: int, size: int = 100, ssrc: int = 7) -> bytes:
    head = b"\x80\x60" + (number & 0xFFFF).to_bytes(2) + bytes(4) + ssrc.to_bytes(4)
    return head + bytes(size - len(head))


def everything(link: Link) -> list[tuple[int, bytes]]:
    return link.due(1 << 62)


def test_a_clean_path_delays_and_changes_nothing() -> None:
    link = run(Conditions(delay=20 * MS), n=3)
    assert link.next_time() == T0 + 20 * MS
    assert link.due(T0 + 20 * MS - 1) == []
    assert everything(link) == [(T0 + (20 + i) * MS, rtp(i)) for i in range(3)]
    assert link.next_time() is None


def test_same_seed_same_fates_other_seed_other_fates() -> None:
    c = Conditions(loss=0.1, jitter=5 * MS, delay=20 * MS, duplication=0.05, corruption=0.05)
    assert everything(run(c, 500)) == everything(run(c, 500))
    assert everything(run(c, 500)) != everything(run(c, 500, seed=2))


def test_fates_do_not_depend_on_timing_or_on_other_impairments() -> None:
    def lost(c: Conditions, gap: int) -> list[int]:
        return [fate.index for fate in run(c, 2000, gap).log if fate.what == "lost"]

    plain = lost(Conditions(loss=0.05), MS)
    assert plain == lost(Conditions(loss=0.05), 0)
    assert plain == lost(Conditions(loss=0.05, jitter=9 * MS, duplication=0.3), 3 * MS)


@pytest.mark.parametrize("name", ["loss", "corruption", "duplication"])
def test_shares_are_what_they_say(name: str) -> None:
    link = run(Conditions(**{name: 0.1}))
    seen = link.counts[{"loss": "lost", "corruption": "corrupted", "duplication": "copies"}[name]]
    assert seen == pytest.approx(2000, abs=4 * np.sqrt(20_000 * 0.1 * 0.9))


def test_bursts_have_the_mean_loss_and_length_of_their_model() -> None:
    model = GilbertElliott.of(loss=0.03, burst=3)
    assert model.mean_loss == pytest.approx(0.03)
    stream = truth.of_streams(run(Conditions(bursts=model), 100_000).log)[7]
    assert stream.lost / stream.sent == pytest.approx(0.03, rel=0.15)
    assert stream.lost / sum(stream.loss_runs.values()) == pytest.approx(3, rel=0.1)


def test_loss_inside_the_states_of_a_burst_model() -> None:
    model = GilbertElliott(p=0.1, r=0.3, bad_loss=0.5, good_loss=0.01)
    stream = truth.of_streams(run(Conditions(bursts=model), 50_000).log)[7]
    assert stream.lost / stream.sent == pytest.approx(0.25 * 0.5 + 0.75 * 0.01, rel=0.1)


def test_jitter_is_a_cut_normal_distribution_and_reorders() -> None:
    link = run(Conditions(delay=60 * MS, jitter=20 * MS))
    delays = np.array([fate.arrivals[0] - fate.send_time for fate in link.log]) / MS
    assert delays.mean() == pytest.approx(60, abs=1)
    assert delays.std() == pytest.approx(20, rel=0.05)
    assert delays.min() >= 0
    assert delays.max() <= 120
    assert truth.of_streams(link.log)[7].reordered > 1000


def test_jitter_without_reordering_keeps_the_order() -> None:
    link = run(Conditions(delay=60 * MS, jitter=20 * MS, reordering=False), 2000)
    assert truth.of_streams(link.log)[7].reordered == 0
    numbers = [int.from_bytes(data[2:4]) for _, data in everything(link)]
    assert numbers == sorted(numbers)


def test_a_bottleneck_spaces_packets_and_drops_what_its_queue_cannot_hold() -> None:
    # 1000 bytes with headers at 8 Mbit/s take 1 ms; ten come at once and five places are free.
    link = run(Conditions(rate=8e6, queue_bytes=5 * 972), n=10, gap=0, size=972)
    assert [moment - T0 for moment, _ in everything(link)] == [i * MS for i in range(1, 6)]
    assert link.counts["queue"] == 5
    link = run(Conditions(rate=8e6, queue_time=3 * MS), n=10, gap=0, size=972)
    assert [moment - T0 for moment, _ in everything(link)] == [i * MS for i in range(1, 4)]


def test_a_trace_delivers_1500_bytes_at_each_opportunity_and_repeats() -> None:
    link = run(Conditions(trace=(2, 3, 10)), n=5, gap=0, size=1472)
    assert [moment - T0 for moment, _ in everything(link)] == [2 * MS, 3 * MS, 10 * MS, 12 * MS, 13 * MS]
    small = run(Conditions(trace=(2, 3, 10)), n=4, gap=0, size=722)  # two fit into one opportunity
    assert [moment - T0 for moment, _ in everything(small)] == [2 * MS, 2 * MS, 3 * MS, 3 * MS]


def test_an_unused_opportunity_is_gone() -> None:
    link = Link(Conditions(trace=(2, 3, 10)))
    link.send(rtp(0, 1472), T0)
    link.send(rtp(1, 1472), T0 + 34 * MS)  # the trace runs from 30 to 40 ms for the fourth time
    assert [moment - T0 for moment, _ in everything(link)] == [2 * MS, 40 * MS]


def test_a_blackout_takes_what_is_sent_in_it() -> None:
    link = run(Conditions(blackouts=((10 * MS, 20 * MS),)), n=30)
    assert [fate.index for fate in link.log if fate.what == "blackout"] == list(range(10, 20))


def test_moments_may_count_from_before_the_first_datagram() -> None:
    link = Link(Conditions(blackouts=((10 * MS, 20 * MS),)))
    link.begin(T0)
    link.begin(T0 + MS)
    fates = [link.send(rtp(i), T0 + at * MS).what for i, at in enumerate((9, 10, 19, 20))]
    assert fates == ["delivered", "blackout", "blackout", "delivered"]


def test_scripted_fates_are_exact() -> None:
    link = run(Conditions(delay=MS, drop=frozenset({1}), repeat=frozenset({2}), hold={0: 5 * MS}), n=4)
    assert [int.from_bytes(data[2:4]) for _, data in everything(link)] == [2, 2, 3, 0]
    stream = truth.of_streams(link.log)[7]
    assert (stream.sent, stream.arrived, stream.lost, stream.duplicates, stream.reordered) == (4, 3, 1, 1, 1)
    assert stream.loss_runs == {1: 1}


def test_a_change_of_route_adds_delay_from_its_moment_on() -> None:
    link = run(Conditions(delay=10 * MS, delay_steps=((2 * MS, 50 * MS), (3 * MS, 0))), n=4)
    assert [fate.arrivals[0] - fate.send_time for fate in link.log] == [10 * MS, 10 * MS, 60 * MS, 10 * MS]


def test_only_exempts_datagrams_from_everything_but_delay() -> None:
    link = Link(Conditions(loss=1.0, delay=MS, only=rtp_only))
    link.send(b"\x80\xc8" + bytes(26), T0)
    link.send(rtp(0), T0)
    assert link.counts == {"exempt": 1, "lost": 1, "copies": 0}
    assert [moment for moment, _ in everything(link)] == [T0 + MS]
    assert [fate.index for fate in link.log] == [-1, 0]


def test_corruption_flips_one_bit() -> None:
    link = run(Conditions(corruption=1.0), n=50)
    for i, (_, data) in enumerate(everything(link)):
        assert (int.from_bytes(data) ^ int.from_bytes(rtp(i))).bit_count() == 1
    assert flip(b"\x00\x00", 9) == b"\x00\x40"


def test_conditions_can_change_while_packets_are_under_way() -> None:
    link = Link(Conditions(delay=50 * MS))
    link.send(rtp(0), T0)
    link.change(Conditions(delay=10 * MS))
    link.send(rtp(1), T0)
    assert [(moment - T0) // MS for moment, _ in everything(link)] == [10, 50]


def test_the_clock_never_goes_back() -> None:
    clock = VirtualClock(now=100, wall=1000)
    assert clock.advance(50) == 150
    assert clock.advance_to(120) == 150
    assert clock.wall == 1050
