"""Runs against the plain thing they stand for: a dict from number to packet."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from receiver.jitter.runs import Packets, Runs

NUMBERS = st.lists(st.integers(100, 160), min_size=1, max_size=30)


def packets(numbers: list[int], gap: int) -> Packets:
    """Payloads say their number and lie `gap` bytes apart, the later number of a pair before the earlier one now and
    then: slots are filled in the order of arrival."""
    size = 8
    offsets = np.arange(len(numbers)) * (size + gap) + 3
    buffer = np.zeros(int(offsets[-1]) + size, np.uint8)
    for number, offset in zip(numbers, offsets, strict=True):
        buffer[offset : offset + size] = np.frombuffer(number.to_bytes(size), np.uint8)
    sequence = np.array(numbers, np.int64)
    return Packets(
        sequence, sequence * 10, sequence % 3 == 0, sequence + 1, offsets, np.full(len(numbers), size), buffer
    )


@given(st.lists(st.tuples(NUMBERS, st.sampled_from([0, 20, 100])), max_size=6), st.integers(90, 170))
def test_they_hold_what_a_dict_would(batches: list[tuple[list[int], int]], below: int) -> None:
    runs, model = Runs(), set[int]()
    for numbers, gap in batches:
        runs.add(packets(numbers, gap))
        model |= set(numbers)
    runs.forget_below(below)
    model = {number for number in model if number >= below}
    for number in range(below, 165):
        row = runs.get(number)
        assert (number in runs) == (row is not None) == (number in model)
        if row is not None:
            told = int.from_bytes(row.payload), row.timestamp, row.marker, row.arrival_time
            assert told == (number, number * 10, number % 3 == 0, number + 1)
        assert runs.lowest(number) == min((n for n in model if n >= number), default=None)
        run = next((n for n in range(number, 166) if n not in model), number)
        assert [row.timestamp // 10 for row in runs.consecutive(number)] == list(range(number, run))
        between = [None if row is None else row.timestamp // 10 for row in runs.between(number, number + 7)]
        assert between == [n if n in model else None for n in range(number, number + 7)]


def test_of_two_copies_the_first_stays() -> None:
    runs = Runs()
    runs.add(packets([7, 8, 9], 0))
    second = packets([8], 0)
    second.timestamp[:] = 0
    runs.add(second)
    row = runs.get(8)
    assert row is not None
    assert row.timestamp == 80


def test_the_memory_of_the_batch_is_not_kept() -> None:
    runs = Runs()
    batch = packets([7, 8], 0)
    runs.add(batch)
    batch.buffer[:] = 0
    row = runs.get(8)
    assert row is not None
    assert int.from_bytes(row.payload) == 8
