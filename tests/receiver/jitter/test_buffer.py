"""The jitter buffer alone: order, holes, deadlines, bounds. Payload byte 0 says whether it begins a frame."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.jitter.buffer import CAPACITY, JitterBuffer, Packets

STEP = 3000
PER_TICK = 1_000_000_000 // 90_000


class Framing:
    """Byte 0 is 1 in the first packet of a frame; each packet lasts STEP ticks."""

    def begins(self, payload: bytes) -> bool:
        return payload[0] == 1

    def duration(self, payload: bytes) -> int | None:
        return STEP if payload else None


def deadline(timestamp: int) -> int:
    return timestamp * PER_TICK


def packets(*rows: tuple[int, int, bool, bytes], arrival: int = 0) -> Packets:
    """rows of (number, timestamp, marker, payload)."""
    lengths = np.array([len(r[3]) for r in rows], np.int64)
    return Packets(
        np.array([r[0] for r in rows], np.int64),
        np.array([r[1] for r in rows], np.int64),
        np.array([r[2] for r in rows], bool),
        np.full(len(rows), arrival, np.int64),
        np.cumsum(lengths) - lengths,
        lengths,
        np.frombuffer(b"".join(r[3] for r in rows), np.uint8),
    )


def frame(number: int, timestamp: int, size: int = 3) -> list[tuple[int, int, bool, bytes]]:
    return [(number + i, timestamp, i == size - 1, bytes([i == 0, number + i & 255])) for i in range(size)]


def video() -> JitterBuffer:
    return JitterBuffer(Framing(), every_packet_is_a_frame=False)


def audio() -> JitterBuffer:
    return JitterBuffer(Framing(), every_packet_is_a_frame=True)


def test_a_whole_frame_comes_out_at_once() -> None:
    buffer = video()
    buffer.insert(packets(*frame(10, 0), arrival=5))
    (out,) = buffer.pop(0, deadline)
    assert (out.first, out.end, out.missing, out.first_arrival) == (10, 13, 0, 5)
    assert out.payloads == (b"\1\x0a", b"\0\x0b", b"\0\x0c")
    assert buffer.pop(10**12, deadline) == []


def test_order_is_restored_within_and_across_frames() -> None:
    buffer = video()
    buffer.insert(packets(frame(10, 0)[0]))
    buffer.insert(packets(*frame(13, STEP)))
    buffer.insert(packets(*reversed(frame(10, 0)[1:])))
    assert [f.first for f in buffer.pop(0, deadline)] == [10, 13]


def test_a_hole_is_waited_for_until_its_deadline_and_no_longer() -> None:
    buffer = video()
    first, middle, last = frame(10, 3 * STEP)
    buffer.insert(packets(first, last, *frame(13, 4 * STEP)))
    due = deadline(3 * STEP)
    assert buffer.next_deadline(deadline) == due
    assert buffer.pop(due - 1, deadline) == []
    damaged, whole = buffer.pop(due, deadline)
    assert damaged.payloads == (b"\1\x0a", None, b"\0\x0c")
    assert whole.missing == 0
    assert buffer.insert(packets(middle)) == 1, "it came too late"
    assert buffer.pop(10**12, deadline) == []


def test_a_hole_with_nothing_behind_it_holds_nothing_up() -> None:
    buffer = video()
    buffer.insert(packets(*frame(10, 0)[:2]))
    assert buffer.next_deadline(deadline) is None
    assert buffer.pop(10**12, deadline) == []
    buffer.insert(packets(frame(10, 0)[2]))
    assert [f.missing for f in buffer.pop(10**12, deadline)] == [0]


@pytest.mark.parametrize(
    ("lost", "expected"),
    [
        ({2}, [(0, 3, 1), (3, 6, 0)]),  # the tail, marker with it
        ({3}, [(0, 3, 0), (3, 6, 1)]),  # the head of the next
        ({2, 3}, [(0, 3, 1), (3, 6, 1)]),  # both: one each
        ({1, 4}, [(0, 3, 1), (3, 6, 1)]),
    ],
)
def test_whose_packet_was_lost(lost: set[int], expected: list[tuple[int, int, int]]) -> None:
    buffer = video()
    rows = [*frame(0, STEP), *frame(3, 2 * STEP)]
    buffer.insert(packets(*(r for r in rows if r[0] not in lost)))
    out = buffer.pop(10**12, deadline)
    assert [(f.first, f.end, f.missing) for f in out] == expected


def test_a_frame_lost_whole_is_counted_before_the_next() -> None:
    buffer = video()
    buffer.insert(packets(*frame(0, 0)))
    buffer.insert(packets(*frame(6, 2 * STEP)))
    assert [(f.first, f.lost_before) for f in buffer.pop(deadline(2 * STEP), deadline)] == [(0, 0), (6, 3)]


def test_the_last_frame_needs_no_marker_once_the_next_begins() -> None:
    buffer = video()
    rows = [(n, t, False, p) for n, t, _, p in frame(0, 0)]
    buffer.insert(packets(*rows))
    assert buffer.pop(0, deadline) == []
    buffer.insert(packets(*frame(3, STEP)))
    assert [f.first for f in buffer.pop(0, deadline)] == [0, 3]


def test_what_was_overtaken_at_the_start_still_comes_first() -> None:
    buffer = video()
    first, middle, last = frame(10, 0)
    buffer.insert(packets(middle))
    assert buffer.pop(-1, deadline) == []
    buffer.insert(packets(first, last))
    assert [(f.first, f.missing) for f in buffer.pop(-1, deadline)] == [(10, 0)]


@pytest.mark.parametrize("came_first", [1, 2])
def test_a_tail_that_came_first_waits_for_its_head(came_first: int) -> None:
    buffer = video()
    rows = frame(10, 0)
    buffer.insert(packets(rows.pop(came_first)))
    assert buffer.pop(-1, deadline) == []
    buffer.insert(packets(*rows))
    assert [(f.first, f.missing) for f in buffer.pop(-1, deadline)] == [(10, 0)]


def test_a_stream_joined_in_the_middle_of_a_frame_goes_on_at_the_deadline() -> None:
    buffer = video()
    buffer.insert(packets(*frame(10, 0)[1:], *frame(13, STEP)))
    assert [(f.missing, f.payloads[-1]) for f in buffer.pop(0, deadline)] == [(1, b"\0\x0c"), (0, b"\0\x0f")]


def test_missing_sound_becomes_frames_of_its_own_with_its_timestamps() -> None:
    buffer = audio()
    rows = [(n, n * STEP, False, bytes([1, n])) for n in range(5)]
    buffer.insert(packets(rows[0], rows[3], rows[4]))
    assert [f.first for f in buffer.pop(0, deadline)] == [0]
    assert buffer.next_deadline(deadline) == deadline(STEP)
    (one,) = buffer.pop(deadline(STEP), deadline)
    assert (one.timestamp, one.payloads) == (STEP, (None,))
    assert [(f.timestamp, f.missing) for f in buffer.pop(deadline(2 * STEP), deadline)] == [
        (2 * STEP, 1),
        (3 * STEP, 0),
        (4 * STEP, 0),
    ]


def test_following_is_the_payload_after_the_hole() -> None:
    buffer = audio()
    buffer.insert(packets((0, 0, False, b"\1a"), (3, 3 * STEP, False, b"\1d")))
    buffer.pop(0, deadline)
    assert buffer.following() is None
    buffer.insert(packets((2, 2 * STEP, False, b"\1c")))
    assert buffer.following() is None
    buffer.skip_to(2)
    assert buffer.following() == b"\1c"


def test_payloads_of_any_size_and_place_survive() -> None:
    buffer = audio()
    big, small = b"\1" + bytes(60_000), b"\1s"
    apart = packets((0, 0, False, big), (1, STEP, False, small), (2, 2 * STEP, False, small))
    buffer.insert(apart.select(np.array([False, False, True])))
    buffer.insert(apart.select(np.array([True, False, False])))
    spread = packets((1, STEP, False, small), (9, 9 * STEP, False, big), (3, 3 * STEP, False, small))
    buffer.insert(spread.select(np.array([True, False, True])))
    assert [f.payloads[0] for f in buffer.pop(0, deadline)] == [big, small, small, small]


def test_much_may_wait_behind_a_hole() -> None:
    buffer = audio()
    buffer.insert(packets((1, 1, False, b"\1x")))
    buffer.pop(0, deadline)
    numbers = [*range(3, 3000)]
    buffer.insert(packets(*((n, n * STEP, False, b"\1" + n.to_bytes(2, "big")) for n in numbers)))
    buffer.insert(packets((2, 2 * STEP, False, b"\1" + b"\0\2")))
    out = buffer.pop(0, deadline)
    assert [int.from_bytes(f.payloads[0][1:], "big") for f in out] == [2, *numbers]  # type: ignore[index]
    assert buffer.overflowed == 0


def test_past_its_bound_the_oldest_is_given_up_and_counted() -> None:
    buffer = audio()
    buffer.insert(packets((0, 0, False, b"\1x")))
    buffer.pop(0, deadline)
    buffer.insert(packets((CAPACITY + 9, 0, False, b"\1y")))
    assert buffer.overflowed == 9
    assert buffer.cursor == 10


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_comes_each_number_leaves_once_in_order(data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=20))
    rows: list[tuple[int, int, bool, bytes]] = []
    for index, size in enumerate(sizes):
        rows += frame(len(rows), index * STEP, size)
    kept = [r for r in rows if r[0] == 0 or data.draw(st.booleans())]
    shuffled = [kept[0], *data.draw(st.permutations(kept[1:]))]
    buffer, out, now = video(), [], 0
    while shuffled:
        cut = data.draw(st.integers(1, len(shuffled)))
        buffer.insert(packets(*shuffled[:cut]))
        del shuffled[:cut]
        now += data.draw(st.integers(0, deadline(3 * STEP)))
        out += buffer.pop(now, deadline)
    out += buffer.pop(10**15, deadline)
    at = 0
    for f in out:
        assert f.first == at + f.lost_before
        assert f.end - f.first == len(f.payloads) > f.missing
        at = f.end
        for number, payload in zip(range(f.first, f.end), f.payloads, strict=True):
            assert payload is None or payload == rows[number][3]
