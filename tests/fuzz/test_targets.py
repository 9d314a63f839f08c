"""Every target with its corpus, and with what becomes of that when it is damaged."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import corpora
from tests.fuzz.targets import TARGETS


def _piece(data: bytes, a: int, b: int) -> bytes:
    start, end = sorted((a % (len(data) + 1), b % (len(data) + 1)))
    return data[start:end]


@st.composite
def damaged(draw: st.DrawFn, inputs: list[bytes]) -> bytes:
    """An input with pieces of itself and others put in, left out, or replaced."""
    data = draw(st.sampled_from(inputs))
    places = st.integers(0, 4096)
    for _ in range(draw(st.integers(0, 4))):
        at, left_out = draw(places) % (len(data) + 1), draw(st.integers(0, 8))
        other = _piece(draw(st.sampled_from(inputs)), draw(places), draw(places))
        put_in = draw(st.sampled_from([b"", other, other * 3]) | st.binary(max_size=4))
        data = data[:at] + put_in + data[at + left_out :]
    return data


@pytest.mark.parametrize("name", TARGETS)
def test_corpus(name: str) -> None:
    for data in corpora.load(name):
        TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_damaged_corpus(name: str, data: st.DataObject) -> None:
    TARGETS[name](data.draw(damaged(corpora.load(name))))
