"""What is sent again, and what is not."""

from __future__ import annotations

from itertools import count

import pytest

from protocol.rtp import RtpPacket, parse
from sender.transmit.history import KEPT_FOR, MAX_OCTETS, MAX_PACKETS, History
from sender.transmit.retransmission import FLOOR, LOOKS, SHARE, Retransmission

MS = 1_000_000
SECOND = 1_000_000_000
FIRST = 65_530
"""so that numbers wrap soon."""


def packet(number: int, size: int = 100) -> bytes:
    return bytes(RtpPacket(96, number & 0xFFFF, 0, 1, bytes(size - 12)))


def sending(packets: int, *, size: int = 100, bitrate: int = 8_000_000, now: int = 0) -> Retransmission:
    """So many packets have left at `now`."""
    stream = Retransmission(first=FIRST, first_rtx=9, ssrc=3, payload_type=112, bitrate=bitrate)
    stream.sent([packet(FIRST + n, size) for n in range(packets)], now)
    return stream


def osn(datagram: bytes) -> int:
    return int.from_bytes(parse(datagram).payload[:2])


def test_what_is_asked_for_comes_again_at_once() -> None:
    stream = sending(10)
    stream.answer([65_535, 2], 50 * MS)
    answers = stream.pop(50 * MS)
    assert [osn(answer) for answer in answers] == [65_535, 2]
    assert [parse(answer).sequence_number for answer in answers] == [9, 10]
    assert {parse(answer).ssrc for answer in answers} == {3}
    assert {parse(answer).payload_type for answer in answers} == {112}
    assert stream.statistics().packets == 2


def test_reasons_to_refuse() -> None:
    stream = sending(10)
    stream.answer([FIRST + 10 & 0xFFFF, FIRST - 1, FIRST - 1000], 50 * MS)
    assert stream.pop(50 * MS) == []
    assert stream.statistics().refused == {"never_sent": 1, "too_old": 2}


def test_copies_of_a_request_are_one_request() -> None:
    stream = sending(1)
    stream.measured(40 * MS)
    for at in (50, 55, 60, 85):
        stream.answer([FIRST], at * MS)
    assert len(stream.pop(SECOND)) == 1
    stream.answer([FIRST], 94 * MS)  # a round trip later the answer is lost
    assert len(stream.pop(SECOND)) == 2
    stream.answer([FIRST], 140 * MS)
    assert len(stream.pop(SECOND)) == 3
    assert stream.statistics().refused == {"too_soon": 3}


def test_what_has_just_left_cannot_be_missed_yet() -> None:
    stream = sending(1)
    stream.measured(40 * MS)
    stream.answer([FIRST], 30 * MS)
    assert stream.pop(SECOND) == []
    stream.answer([FIRST], 41 * MS)
    assert len(stream.pop(SECOND)) == 1


def test_copies_of_an_answer_are_apart() -> None:
    stream = sending(1)
    stream.answer([FIRST], 50 * MS)
    stream.pop(50 * MS)
    stream.answer([FIRST], 100 * MS)
    assert len(stream.pop(100 * MS)) == 1
    due = stream.next_time()
    assert due is not None
    assert due > 100 * MS
    assert len(stream.pop(due)) == 1
    assert stream.next_time() is None


def test_many_answers_leave_in_bursts_of_ten() -> None:
    stream = sending(70)
    stream.answer([FIRST + n & 0xFFFF for n in range(0, 70, 2)], 50 * MS)
    sizes = []
    now = 50 * MS
    while (due := stream.next_time()) is not None:
        now = max(now, due)
        sizes.append(len(stream.pop(now)))
    assert sizes == [10, 10, 10, 5]
    assert now - 50 * MS < 10 * MS


def test_heavy_loss_doubles_some_first_answers() -> None:
    single = [FIRST + n & 0xFFFF for n in range(0, 200, 2)]
    stream = sending(200)
    for _ in range(30):
        stream.lost(0.1)
    stream.answer(single, 50 * MS)
    assert 120 <= len(stream.pop(SECOND)) <= 135
    light = sending(200)
    for _ in range(30):
        light.lost(0.05)
    light.answer(single, 50 * MS)
    assert len(light.pop(SECOND)) == 100


def test_losses_in_runs_double_most_first_answers() -> None:
    """What was lost in a run loses its answers too: with runs of four, about every second
    answer goes twice."""
    stream = sending(400)
    for _ in range(30):
        stream.lost(0.05)
    for run in range(40):
        stream.answer([FIRST + 10 * run + n & 0xFFFF for n in range(4)], (50 + run) * MS)
    assert 220 <= len(stream.pop(SECOND)) <= 280


@pytest.mark.parametrize("bitrate", [64_000, 1_000_000, 20_000_000])
def test_whatever_is_asked_answers_stay_within_the_budget(bitrate: int) -> None:
    """10,000 requests a second for the whole history, for 5 s, while media goes on."""
    stream = Retransmission(first=0, first_rtx=0, ssrc=3, payload_type=112, bitrate=bitrate)
    numbers, octets, step = count(), 0, 10 * MS
    for now in range(0, 5 * SECOND, step):
        stream.sent([packet(next(numbers), 1000) for _ in range(bitrate * step // SECOND // 8000 + 1)], now)
        for _ in range(100):
            stream.answer(range(0, 1000, 97), now)
        octets += sum(map(len, stream.pop(now)))
    budget = FLOOR + SHARE * bitrate / 8 * 5.5
    assert octets <= budget
    refused = stream.statistics().refused
    assert set(refused) <= {"never_sent", "too_old", "too_soon", "budget", "flood"}
    assert refused["flood"] > 0.9 * 500 * 100 * 11 - 6 * LOOKS
    assert stream.statistics().requested == 500 * 100 * 11


def test_the_history_is_bounded() -> None:
    many = History(0)
    many.add((packet(n) for n in range(3 * MAX_PACKETS)), 0)
    assert len(many) == MAX_PACKETS
    large = History(0)
    large.add((packet(n, 50_000) for n in range(100)), 0)
    assert len(large) * 50_000 <= MAX_OCTETS
    old = History(0)
    old.add([packet(0), packet(1)], 0)
    old.add([packet(2)], KEPT_FOR + 1)
    assert len(old) == 1
    assert old.get(1) is None
    assert old.get(2) is not None
    assert old.end == 3
