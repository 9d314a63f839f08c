"""What is asked for, and when."""

from __future__ import annotations

import numpy as np
import pytest

from receiver.jitter.runs import Packets
from receiver.repair.nack import COPIES, MAX_MISSING, Nacks
from receiver.repair.nack_timing import RoundTrip, Tolerance

MS = 1_000_000
FRAME = 3000
"""ticks of 90 kHz between frames."""
INTERVAL = 33_333_333


def came(nacks: Nacks, number: int, timestamp: int, at: int, *, marker: bool = False) -> None:
    nacks.came(
        Packets(
            np.array([number]), np.array([timestamp]), np.array([marker]), np.array([at]), np.array([0]), np.array([0]),
            np.zeros(0, np.uint8),
        )
    )  # fmt: skip


def whenever(_timestamp: int) -> int:
    """No deadline."""
    return 1 << 62


def video(rtt: int | None = 40 * MS) -> Nacks:
    nacks = Nacks(90_000, every_packet_is_a_frame=False)
    if rtt is not None:
        nacks.round_trip.exchanged(rtt)
    return nacks


def asked_until(nacks: Nacks, end: int, deadline: int = 1 << 62) -> list[tuple[int, list[int]]]:
    """(ms, numbers) of every request until `end`."""
    found = []
    while (due := nacks.next_time()) is not None and due <= end:
        numbers = nacks.due(due, lambda _: deadline)
        if numbers:
            found.append((round(due / MS), numbers))
    return found


def test_a_gap_is_asked_for_in_three_copies_then_again_after_a_round_trip() -> None:
    nacks = video()
    came(nacks, 100, 0, 0)
    came(nacks, 103, 0, 2 * MS)
    asked = asked_until(nacks, 44 * MS)
    assert [numbers for _, numbers in asked if numbers == [101, 102]] == [[101, 102]] * COPIES
    rounds = [at for at, numbers in asked_until(nacks, 80 * MS) if 101 in numbers]
    assert rounds[0] >= 43
    assert len(rounds) > COPIES  # the second time it is surer


def test_nothing_is_asked_for_that_came() -> None:
    nacks = video()
    came(nacks, 100, 0, 0)
    came(nacks, 103, 0, MS)
    assert nacks.due(2 * MS, whenever) == [101, 102]
    came(nacks, 101, 0, 3 * MS)
    assert nacks.answered(102, 0, False, 4 * MS) == ""
    came(nacks, 104, 0, 5 * MS, marker=True)
    assert asked_until(nacks, 30 * MS) == []
    counts = nacks.counts()
    assert (counts.requested, counts.useless, dict(counts.rounds)) == (2, 1, {1: 1})


def test_nothing_is_asked_for_that_cannot_come_in_time() -> None:
    nacks = video(300 * MS)
    came(nacks, 100, 0, 0)
    came(nacks, 102, 0, MS, marker=True)
    assert asked_until(nacks, 200 * MS, deadline=150 * MS) == []
    assert nacks.counts().not_requested == 1


def test_the_lost_end_of_a_frame_is_missed_before_the_next_frame_comes() -> None:
    nacks = video()
    for frame in range(20):
        came(nacks, 100 + 2 * frame, frame * FRAME, frame * INTERVAL)
        came(nacks, 101 + 2 * frame, frame * FRAME, frame * INTERVAL, marker=True)
    came(nacks, 140, 20 * FRAME, 20 * INTERVAL)
    asked = asked_until(nacks, 21 * INTERVAL)
    assert asked[0][1] == [141]
    assert asked[0][0] * MS < 20 * INTERVAL + 10 * MS


def test_a_frame_of_which_nothing_came_is_missed_by_the_rhythm() -> None:
    nacks = Nacks(48_000, every_packet_is_a_frame=True)
    nacks.round_trip.exchanged(40 * MS)
    for number in range(30):
        came(nacks, number, 960 * number, 20 * MS * number)
    asked = asked_until(nacks, 20 * MS * 31)
    assert asked[0][1] == [30]
    assert 600 <= asked[0][0] <= 606


def test_frames_lost_as_a_whole_are_asked_for_with_as_many_packets_as_frames_have() -> None:
    nacks = video()
    for frame in range(80):
        for packet in range(4):
            came(nacks, 100 + 4 * frame + packet, frame * FRAME, frame * INTERVAL, marker=packet == 3)
    asked = asked_until(nacks, 81 * INTERVAL - MS)
    assert asked[0][1] == [420, 421, 422, 423], "none came of the 81st"
    assert 80 * INTERVAL <= asked[0][0] * MS < 80 * INTERVAL + 10 * MS
    asked = asked_until(nacks, 90 * INTERVAL)
    missed = {number for _, numbers in asked for number in numbers}
    assert missed == set(range(420, 432)), "three frames, no more: it may have ended"


def test_sound_lost_in_a_row_is_asked_for_packet_by_packet() -> None:
    nacks = Nacks(48_000, every_packet_is_a_frame=True)
    nacks.round_trip.exchanged(40 * MS)
    for number in range(30):
        came(nacks, number, 960 * number, 20 * MS * number)
    first = {}
    for at, numbers in asked_until(nacks, 20 * MS * 40):
        for number in numbers:
            first.setdefault(number, at)
    assert list(first) == [30, 31, 32]
    assert all(20 * number <= at <= 20 * number + 6 for number, at in first.items())


def test_what_was_asked_for_too_early_and_then_comes_together_is_asked_for_no_more() -> None:
    """The first was given up already, the others were not: one batch has them all."""
    nacks = Nacks(48_000, every_packet_is_a_frame=True)
    nacks.round_trip.exchanged(40 * MS)
    for number in range(30):
        came(nacks, number, 960 * number, 20 * MS * number)
    while (due := nacks.next_time()) is not None and due < 690 * MS:
        nacks.due(due, lambda timestamp: timestamp // 48 * MS + 60 * MS)
    assert nacks.waiting
    late = np.arange(30, 36)
    nacks.came(Packets(late, 960 * late, late < 0, np.full(6, 700 * MS), late * 0, late * 0, np.zeros(0, np.uint8)))
    assert not nacks.waiting
    assert nacks.counts().useless == 3


def test_a_gap_does_not_end_the_rhythm() -> None:
    nacks = Nacks(48_000, every_packet_is_a_frame=True)
    nacks.round_trip.exchanged(40 * MS)
    for number in [*range(30), 33, 34]:
        came(nacks, number, 960 * number, 20 * MS * number)
    assert nacks.answer is not None
    assert 40 * MS < nacks.answer < 50 * MS
    assert nacks.next_time() is not None


def test_what_may_never_have_been_sent_is_no_reason_for_doubt() -> None:
    """Sound that pauses again and again, of a sender that does answer."""
    nacks = Nacks(48_000, every_packet_is_a_frame=True)
    nacks.round_trip.exchanged(40 * MS)
    nacks.promised = True
    number, at = 0, 0
    for _ in range(30):
        for _ in range(30):
            came(nacks, number, at * 48 // MS, at)
            number, at = number + 1, at + 20 * MS
        asked_until(nacks, at + 500 * MS, deadline=at + 200 * MS)
        at += 500 * MS
    came(nacks, number + 1, at * 48 // MS, at)
    assert nacks.waits_for(number)


def test_what_the_rhythm_told_of_counts_only_when_it_turns_out_to_have_been_sent() -> None:
    nacks = Nacks(48_000, every_packet_is_a_frame=True)
    nacks.round_trip.exchanged(40 * MS)
    for number in range(30):
        came(nacks, number, 960 * number, 20 * MS * number)
    asked = {number for _, numbers in asked_until(nacks, 900 * MS, deadline=800 * MS) for number in numbers}
    assert asked == {30, 31, 32}, "and of those nobody ever hears again, where the stream has ended"
    assert (nacks.counts().requested, nacks.counts().not_requested) == (0, 0)
    came(nacks, 31, 960 * 31, 2000 * MS)
    asked_until(nacks, 2010 * MS, deadline=2020 * MS)
    counts = nacks.counts()
    assert (counts.requested, counts.useless, counts.not_requested) == (1, 1, 1), "31 came, and shows 30"


def test_what_the_rhythm_told_of_counts_once() -> None:
    nacks = Nacks(48_000, every_packet_is_a_frame=True)
    nacks.round_trip.exchanged(40 * MS)
    for number in range(30):
        came(nacks, number, 960 * number, 20 * MS * number)
    asked_until(nacks, 650 * MS)
    assert nacks.counts().requested == 0
    assert nacks.answered(30, 960 * 30, False, 655 * MS) == ""
    came(nacks, 32, 960 * 32, 660 * MS)
    asked_until(nacks, 700 * MS)
    assert nacks.answered(31, 960 * 31, False, 705 * MS) == ""
    counts = nacks.counts()
    assert (counts.requested, counts.not_requested, counts.useless) == (3, 0, 1), "32 was only late"


def test_nothing_is_expected_of_frames_without_rhythm() -> None:
    """A camera in the dark: each picture as it is ready."""
    nacks = video()
    at = 0
    for number in range(60):
        at += (2 + number % 3) * INTERVAL
        assert asked_until(nacks, at) == []
        came(nacks, number, at * 9 // 100_000, at, marker=True)


def test_nothing_is_expected_of_frames_without_markers() -> None:
    nacks = video()
    for frame in range(10):
        came(nacks, 2 * frame, frame * FRAME, frame * INTERVAL)
        came(nacks, 2 * frame + 1, frame * FRAME, frame * INTERVAL)
        if frame:
            assert asked_until(nacks, (frame + 1) * INTERVAL - 1) == []


def test_what_is_far_too_much_is_given_up() -> None:
    nacks = video()
    came(nacks, 100, 0, 0)
    came(nacks, 102 + MAX_MISSING, 0, MS, marker=True)
    assert nacks.overwhelmed
    assert asked_until(nacks, 100 * MS) == []


def test_answers_are_waited_for_only_where_there_is_hope() -> None:
    nacks = video()
    came(nacks, 100, 0, 0)
    came(nacks, 102, 0, MS)
    assert not nacks.waits_for(101)  # nobody said that this sender answers
    nacks.due(2 * MS, whenever)
    assert nacks.answered(101, 0, False, 45 * MS) == ""
    came(nacks, 104, 0, 50 * MS)
    assert nacks.waits_for(103)
    nacks = video()
    nacks.promised = True
    came(nacks, 100, 0, 0)
    for number in range(102, 140, 2):
        came(nacks, number, 0, number * 200 * MS)
        asked_until(nacks, (number + 1) * 200 * MS, deadline=(number + 1) * 200 * MS)
    came(nacks, 140, 0, 140 * 200 * MS + MS)
    assert not nacks.waits_for(139)  # it said so, and never did


@pytest.mark.parametrize(
    ("number", "timestamp", "why"),
    [(101, 0, ""), (101, FRAME, "contradicts"), (102, 0, "not_requested"), (500, 0, "not_requested")],
)
def test_which_retransmissions_are_taken(number: int, timestamp: int, why: str) -> None:
    nacks = video()
    came(nacks, 100, 0, 0)
    came(nacks, 102, 0, MS, marker=True)
    nacks.due(2 * MS, whenever)
    assert nacks.answered(number, timestamp, False, 45 * MS) == why


def test_a_second_copy_of_an_answer_is_a_duplicate_and_one_too_late_is_late() -> None:
    nacks = video()
    came(nacks, 100, 0, 0)
    came(nacks, 103, 0, MS, marker=True)
    nacks.due(2 * MS, whenever)
    assert nacks.answered(101, 0, False, 45 * MS) == ""
    assert nacks.answered(101, 0, False, 46 * MS) == "duplicate"
    asked_until(nacks, 500 * MS, deadline=100 * MS)
    assert nacks.answered(102, 0, False, 500 * MS) == "late"


def test_reordering_is_waited_for_as_long_as_it_took() -> None:
    tolerance = Tolerance()
    tolerance.in_order(500)
    assert tolerance.wait == MS
    for _ in range(100):
        tolerance.in_order(4)
        tolerance.overtaken(30 * MS)
    assert tolerance.wait == 31 * MS
    tolerance.in_order(2000)
    assert tolerance.wait == MS


def test_rare_reordering_is_not_waited_for() -> None:
    """At 1 % of packets it is cheaper to ask in vain."""
    tolerance = Tolerance()
    for _ in range(10):
        tolerance.in_order(99)
        tolerance.overtaken(80 * MS)
    assert tolerance.wait == MS


def test_the_round_trip() -> None:
    trip = RoundTrip()
    assert trip.timeout >= trip.value == 100 * MS
    trip.answered(60 * MS)
    trip.answered(45 * MS)
    assert trip.value == 45 * MS
    for _ in range(20):
        trip.exchanged(40 * MS)
    assert trip.value == 40 * MS
    assert 43 * MS <= trip.timeout <= 46 * MS
    for _ in range(20):
        trip.exchanged(240 * MS)
    assert trip.value > 200 * MS
