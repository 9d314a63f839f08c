"""What repair is chosen: the rules of receiver.repair.planner, and how they follow what is seen."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from receiver.repair.planner import MOST, Plan, Situation, plan
from receiver.repair.planning import Planning, Seen
from receiver.repair.sound_planner import UNKNOWN, plan_sound
from receiver.repair.terms import Terms
from tests.support.clock import MILLISECOND, SECOND

CALM = Situation(
    round_trip=40 * MILLISECOND, wait=150 * MILLISECOND, loss=0.0, most=0.0, run=1.0, packets_per_frame=8.0,
    frame_interval=33 * MILLISECOND,
)  # fmt: skip
TERMS = Terms(150 * MILLISECOND, fec=True, red=True)


def test_nothing_is_sent_ahead_where_nothing_is_lost() -> None:
    for round_trip in (None, 1 * MILLISECOND, 300 * MILLISECOND):
        found = plan(replace(CALM, round_trip=round_trip))
        assert (found.fec_share, found.red_depth) == (0.0, 0)


def test_retransmission_alone_where_it_fits_twice() -> None:
    found = plan(replace(CALM, loss=0.2, most=0.2))
    assert (found.nack, found.fec_share, found.red_depth) == (True, 0.0, 0)


def test_forward_correction_alone_where_no_retransmission_fits() -> None:
    found = plan(replace(CALM, loss=0.05, most=0.05, round_trip=300 * MILLISECOND))
    assert not found.nack
    # algorithms of finite blocks, independently: 24 packets at 5 % need 25 to 30 % for a residue of 1e-3
    assert 0.2 <= found.fec_share <= 0.35


def test_where_one_retransmission_fits_a_little_goes_ahead() -> None:
    once = plan(replace(CALM, loss=0.05, most=0.05, round_trip=100 * MILLISECOND))
    never = plan(replace(CALM, loss=0.05, most=0.05, round_trip=300 * MILLISECOND))
    assert once.nack
    assert 0 < once.fec_share < never.fec_share


SOUND = replace(CALM, loss=0.03, most=0.03, packets_per_frame=1.0, frame_interval=20 * MILLISECOND)


def sound(now: Situation, before: Plan = UNKNOWN) -> Plan:
    return plan_sound(now, before)


@pytest.mark.parametrize("round_trip", [None, 40, 300])
def test_sound_repeats_itself_where_the_next_packet_comes_before_an_answer(round_trip: int | None) -> None:
    found = sound(replace(SOUND, round_trip=None if round_trip is None else round_trip * MILLISECOND))
    assert not found.nack
    assert found.fec_share == 0
    # independently: losses that come singly leave loss^(depth + 1), and at most 0.2 % should stay lost
    assert found.red_depth == 1
    assert sound(replace(SOUND, loss=0.1)).red_depth == 2


def left(loss: float, run: float, depth: int) -> float:
    """The share of sound that is lost with all its copies, by counting: Gilbert's losses, drawn."""
    stay, start = 1 - 1 / run, loss / (run * (1 - loss))
    dice, bad, packets = Random(5), False, []
    for _ in range(200_000):
        bad = dice.random() < (stay if bad else start)
        packets.append(bad)
    return sum(all(packets[i : i + depth + 1]) for i in range(len(packets) - depth)) / len(packets)


@pytest.mark.parametrize(
    ("loss", "run"), [(0.03, 1 / 0.97), (0.07, 1 / 0.93), (0.13, 1 / 0.87), (0.2, 1.25), (0.03, 2.0), (0.05, 1.5)]
)
def test_one_more_copy_has_to_save_more_than_its_wait(loss: float, run: float) -> None:
    """A percent of sound is worth 150 ms, a copy takes 20 more."""
    costs = {depth: 20 * depth + 150 * 100 * left(loss, run, depth) for depth in (1, 2, 3)}
    cheapest = min(costs.values())
    found = sound(replace(SOUND, loss=loss, run=run), Plan(nack=True)).red_depth
    assert costs[found] <= cheapest + 3, costs


def test_what_is_lost_with_its_copies_is_asked_for_where_that_is_worth_the_wait() -> None:
    bursts = replace(SOUND, loss=0.05, run=1.6, answer=50 * MILLISECOND)
    found = sound(bursts)
    assert (found.red_depth, found.nack) == (2, True), "50 ms instead of 46 or 66, and next to nothing is lost"
    assert not sound(replace(bursts, answer=200 * MILLISECOND)).nack, "no answer comes before it is of no use"
    assert not sound(replace(bursts, answer=None)).nack
    assert not sound(replace(SOUND, loss=0.02, answer=50 * MILLISECOND)).nack, "one copy is enough"


def test_a_change_has_to_be_worth_something() -> None:
    near_the_border = [replace(SOUND, loss=loss) for loss in (0.034, 0.04, 0.033, 0.041)]
    now = UNKNOWN
    depths = {(now := sound(each, now)).red_depth for each in near_the_border}
    assert len(depths) == 1


def test_sound_waits_for_the_copies_that_are_planned() -> None:
    planning = Planning(TERMS, sound=True)
    assert 20 * MILLISECOND < planning.least < 50 * MILLISECOND, "one, of a usual frame"
    for second in range(1, 6):
        planning.look(Seen(second * SECOND, 50 * second, 5 * second, 50 * second, second * SECOND, 1.0, None))
    assert planning.plan.red_depth == 2
    assert 40 * MILLISECOND < planning.least < 50 * MILLISECOND
    bursts = [Seen(s * SECOND, 50 * s, 3 * s, 50 * s, s * SECOND, 1.6, None, 52 * MILLISECOND) for s in range(6, 9)]
    assert any(planning.look(each) for each in bursts)
    assert planning.plan.nack
    assert planning.least == 52 * MILLISECOND, "and for the answers"
    assert Planning(replace(TERMS, red=False), sound=True).least == 0


def test_one_early_loss_is_no_alarm() -> None:
    planning = Planning(TERMS, sound=True)
    planning.look(Seen(SECOND // 5, 10, 1, 10, SECOND // 5, 1.0, 40 * MILLISECOND))
    assert planning.plan.red_depth < 3


def test_sound_repeats_itself_until_the_path_is_known() -> None:
    assert sound(replace(SOUND, loss=0.0, begins=True)).red_depth == 1
    assert sound(replace(SOUND, loss=0.0)).red_depth == 0
    assert Planning(TERMS, sound=True).plan.red_depth == 1
    assert Planning(replace(TERMS, share=0.0), sound=True).plan.red_depth == 0


def test_only_what_is_allowed_is_planned() -> None:
    far = replace(CALM, loss=0.05, most=0.05, round_trip=300 * MILLISECOND, fec=False)
    assert plan(far).fec_share == 0
    assert Planning(Terms(150 * MILLISECOND), sound=True).plan.nack


def test_sound_is_asked_for_again_where_that_is_as_quick() -> None:
    found = sound(replace(SOUND, round_trip=8 * MILLISECOND))
    assert (found.nack, found.red_depth) == (True, 0)


@pytest.mark.parametrize("round_trip", [40, 100, 300])
def test_nothing_is_added_to_a_path_that_is_full(round_trip: int) -> None:
    found = plan(replace(CALM, loss=0.1, most=0.1, round_trip=round_trip * MILLISECOND, congested=True))
    assert (found.fec_share, found.red_depth) == (0.0, 0)
    assert "full" in found.why


@pytest.mark.parametrize("loss", [0.01, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("run", [1.0, 4.0, 1000.0])
@pytest.mark.parametrize("packets", [0.0, 1.0, 50.0])
def test_the_share_is_bounded_whatever_is_seen(loss: float, run: float, packets: float) -> None:
    found = plan(replace(CALM, loss=loss, most=loss, run=run, packets_per_frame=packets, round_trip=SECOND))
    assert 0 < found.fec_share <= MOST
    assert 1 <= found.fec_frames <= 10


def test_frames_of_any_number_of_packets_are_planned_for() -> None:
    """Many of those few that came whole, where half of all packets is lost."""
    found = plan(replace(CALM, loss=0.6, most=0.6, run=4.0, packets_per_frame=1000, round_trip=SECOND))
    assert found.fec_share == MOST


def seen(second: float, expected: int, missing: int, round_trip: int | None = 300 * MILLISECOND) -> Seen:
    now = round(second * SECOND)
    return Seen(now, expected, missing, expected // 8, now, 1.0, round_trip)


def test_a_new_plan_is_told_once_and_forgotten_when_the_loss_is_over() -> None:
    planning = Planning(TERMS, sound=False)
    assert not planning.look(seen(0.1, 24, 0))
    assert planning.look(seen(2.0, 480, 24))
    share = planning.plan.fec_share
    assert share > 0
    assert not planning.look(seen(2.1, 504, 25)), "hardly anything has changed"
    assert planning.plan.fec_share == share
    assert not planning.look(seen(30.0, 7200, 25)), "ten seconds without loss may be chance"
    assert planning.look(seen(36.0, 8640, 25))
    assert planning.plan.fec_share == 0


def test_what_the_user_decided_stays() -> None:
    planning = Planning(replace(TERMS, share=0.25), sound=False)
    assert planning.plan.fec_share == 0.25
    planning.look(seen(2.0, 480, 100))
    assert planning.plan.fec_share == 0.25
    none = Planning(replace(TERMS, share=0.0), sound=True)
    none.look(seen(2.0, 480, 100))
    assert none.plan == Plan(none.plan.nack, 0.0, none.plan.fec_frames, 0, none.plan.why)
