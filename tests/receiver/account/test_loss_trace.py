"""The trace of closed numbers against the row it was shown."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from receiver.account.loss_trace import MOST, LossTrace

PIECES = st.tuples(st.sampled_from(["good", "bad"]), st.integers(1, 3 * MOST)) | st.tuples(
    st.just("observe"), st.lists(st.booleans(), min_size=1, max_size=50)
)


@given(st.lists(PIECES, max_size=12))
def test_the_newest_numbers_are_kept_and_taken_once(pieces: list[tuple[str, int | list[bool]]]) -> None:
    trace, row = LossTrace(), list[bool]()
    for kind, what in pieces:
        if isinstance(what, int):
            (trace.good if kind == "good" else trace.bad)(what)
            row += [kind == "good"] * what
        else:
            trace.observe(np.array(what))
            row += [not lost for lost in what]
    assert trace.take().tolist() == row[-MOST:]
    assert len(trace.take()) == 0


def test_a_number_too_large_for_an_array_is_no_burden() -> None:
    trace = LossTrace()
    trace.bad(1 << 40)
    assert len(trace.take()) == MOST
