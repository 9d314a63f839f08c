"""What observers of closed fates are shown, however the row is cut."""

from __future__ import annotations

from itertools import chain, groupby

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from receiver.account.ledger import Ledger
from receiver.account.runs import RunLengths

START = 65_530 + 65_536


class Witness:
    """Remembers the flags."""

    def __init__(self) -> None:
        self.flags: list[bool] = []

    def good(self, n: int) -> None:
        assert n > 0
        self.flags += [False] * n

    def bad(self, n: int) -> None:
        assert n > 0
        self.flags += [True] * n

    def observe(self, flags: NDArray[np.bool_]) -> None:
        assert len(flags)
        self.flags += flags.tolist()


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=12), max_size=12))
def test_runs_are_found_however_the_row_is_cut(pieces: list[list[bool]]) -> None:
    runs = RunLengths()
    for piece in pieces:
        if all(piece):
            runs.bad(len(piece))
        elif not any(piece):
            runs.good(len(piece))
        else:
            runs.observe(np.array(piece))
    lengths = [len(list(group)) for bad, group in groupby(chain.from_iterable(pieces)) if bad]
    assert runs.counts() == {length: lengths.count(length) for length in sorted(set(lengths))}


def test_observers_see_each_number_once_in_order() -> None:
    """Of 0 to 9, 3 is lost, 5 late, and 8 and 9 are lost; closed in three pieces."""
    bad, lost = Witness(), Witness()
    ledger = Ledger(observers=[bad], loss_observers=[lost])
    second = 1_000_000_000
    for step, numbers in enumerate(([0, 1, 2, 4], [6, 5, 7])):
        ledger.arrive(np.array(numbers) + START, np.zeros(len(numbers), np.int64))
        ledger.close(2 * step * second, second)
        ledger.decide(START + 6)
        ledger.arrive(np.array([START + 5]), np.zeros(1, np.int64))
    ledger.set_range(START, START + 9, 10, final=True, heard_from_start=True)
    ledger.close(6 * second, second)
    ledger.finish()
    assert np.flatnonzero(lost.flags).tolist() == [3, 8, 9]
    assert np.flatnonzero(bad.flags).tolist() == [3, 8, 9]
    assert len(lost.flags) == len(bad.flags) == 10


def test_observers_see_late_numbers() -> None:
    bad, lost = Witness(), Witness()
    ledger = Ledger([bad], [lost])
    ledger.arrive(np.array([START, START + 1, START + 3]), np.zeros(3, np.int64))
    ledger.decide(START + 4)
    ledger.arrive(np.array([START + 2]), np.zeros(1, np.int64))
    ledger.finish()
    assert (lost.flags, bad.flags) == ([False] * 4, [False, False, True, False])


def test_a_gap_larger_than_the_window_is_shown_without_an_array_of_it() -> None:
    class Sum(Witness):
        total = 0

        def bad(self, n: int) -> None:
            self.total += n

    lost = Sum()
    ledger = Ledger(loss_observers=[lost])
    ledger.arrive(np.array([START, START + 100_000_000]), np.zeros(2, np.int64))
    ledger.finish()
    assert lost.total + sum(lost.flags) == 99_999_999
    assert lost.total + len(lost.flags) == 100_000_001
