"""Bursts of ten at once, what is beyond over at most a third of the frame interval (the spread)."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.transmit.pacer import BURST, Pacer

SPREAD = 11_000_000
NOW = 5_000_000_000


def frame(count: int) -> list[bytes]:
    return [n.to_bytes(2) for n in range(count)]


def drain(pacer: Pacer) -> list[tuple[int, list[bytes]]]:
    """(time, datagrams) until nothing waits."""
    sent = []
    while (due := pacer.next_time()) is not None:
        sent += [(due, list(burst)) for burst in pacer.pop(due)]
    return sent


@pytest.mark.parametrize("count", [1, 9, 10])
def test_a_small_frame_goes_at_once(count: int) -> None:
    pacer = Pacer(SPREAD)
    pacer.push(frame(count), NOW)
    assert pacer.pop(NOW) == [frame(count)]
    assert pacer.next_time() is None


def test_nothing_is_due_early() -> None:
    pacer = Pacer(SPREAD)
    pacer.push(frame(40), NOW)
    assert len(pacer.pop(NOW)) == 1
    following = pacer.next_time()
    assert following is not None
    assert pacer.pop(following - 1) == []
    assert len(pacer.pop(following)) == 1


@given(st.integers(1, 2000))
def test_any_frame_leaves_whole_in_order_and_within_the_spread(count: int) -> None:
    pacer = Pacer(SPREAD)
    pacer.push(frame(count), NOW)
    sent = drain(pacer)
    assert [d for _, burst in sent for d in burst] == frame(count)
    assert all(len(burst) <= BURST for _, burst in sent)
    assert all(NOW <= time <= NOW + SPREAD for time, _ in sent)


def test_a_large_frame_is_spread_evenly_over_most_of_the_time() -> None:
    pacer = Pacer(SPREAD)
    pacer.push(frame(200), NOW)
    times = [time for time, _ in drain(pacer)]
    gaps = {b - a for a, b in itertools.pairwise(times)}
    assert len(gaps) == 1
    assert times[-1] - times[0] > 0.9 * SPREAD


def test_a_frame_that_still_waits_goes_when_the_next_comes() -> None:
    pacer = Pacer(SPREAD)
    pacer.push(frame(40), NOW)
    pacer.pop(NOW)
    pacer.push(frame(5), NOW + 1000)
    datagrams = [d for burst in pacer.pop(NOW + 1000) for d in burst]
    assert datagrams == frame(40)[BURST:] + frame(5)


def test_frames_faster_than_the_spread_do_not_pile_up() -> None:
    pacer = Pacer(SPREAD)
    for n in range(1000):
        pacer.push(frame(100), NOW + n)
        pacer.pop(NOW + n)
    assert sum(len(burst) for _, burst in drain(pacer)) < 100


def test_flush_lets_everything_go() -> None:
    pacer = Pacer(SPREAD)
    pacer.push(frame(95), NOW)
    pacer.flush(NOW)
    assert sum(map(len, pacer.pop(NOW))) == 95


def test_without_spread_everything_goes_at_once() -> None:
    pacer = Pacer(0)
    pacer.push(frame(35), NOW)
    assert sum(map(len, pacer.pop(NOW))) == 35
