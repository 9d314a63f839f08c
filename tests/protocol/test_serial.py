import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.serial import Unwrapper, difference

NUMBERS = st.integers(0, 0xFFFF)


@given(a=NUMBERS, b=NUMBERS)
def test_sign_is_the_order_of_rfc_1982(a: int, b: int) -> None:
    # §3.2, SERIAL_BITS = 16; undefined where they lie half the circle apart
    less = (a < b and b - a < 0x8000) or (a > b and a - b > 0x8000)
    if abs(a - b) != 0x8000:
        assert (difference(a, b, 16) < 0) == less


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [(0, 0xFFFF, 1), (0xFFFF, 0, -1), (1, 0, 1), (0x8000, 0, -0x8000), (0, 0x8000, -0x8000), (0x7FFF, 0, 0x7FFF)],
)
def test_differences_around_the_wrap(a: int, b: int, expected: int) -> None:
    assert difference(a, b, 16) == expected


def test_32_bit_timestamps_wrap_too() -> None:
    assert difference(100, 0xFFFF_FFFF, 32) == 101


def test_unwrapper_counts_cycles_and_takes_old_ones_back() -> None:
    unwrapper = Unwrapper(16, start=0)
    assert [unwrapper.unwrap(n) for n in (65534, 65535, 0, 65533, 1)] == [65534, 65535, 65536, 65533, 65537]
    assert unwrapper.newest == 65537


def test_peek_learns_nothing() -> None:
    unwrapper = Unwrapper(16)
    assert unwrapper.peek(7) == 65543
    assert unwrapper.newest is None


@given(steps=st.lists(st.integers(-30000, 30000), max_size=40), start=NUMBERS, known=st.none() | NUMBERS)
def test_batch_is_unwrap_in_turn_for_plausible_arrivals(steps: list[int], start: int, known: int | None) -> None:
    _check_batch([(start + s) & 0xFFFF for s in [0, *np.cumsum(steps).tolist()]], known)


@given(values=st.lists(NUMBERS, max_size=40), known=st.none() | NUMBERS)
def test_batch_is_unwrap_in_turn_for_any_numbers(values: list[int], known: int | None) -> None:
    _check_batch(values, known)


def _check_batch(values: list[int], known: int | None) -> None:
    one, many = Unwrapper(16), Unwrapper(16)
    if known is not None:
        one.unwrap(known)
        many.unwrap(known)
    expected = [one.unwrap(value) for value in values]
    extended = many.unwrap_batch(np.array(values, np.uint16))
    assert extended.tolist() == expected
    assert extended.dtype == np.int64
    assert one.newest == many.newest


@given(increments=st.lists(st.integers(1, 2000), min_size=1, max_size=200))
def test_long_ascending_run_is_restored(increments: list[int]) -> None:
    truth = np.cumsum(increments) + 65536
    unwrapped = Unwrapper(16).unwrap_batch((truth & 0xFFFF).astype(np.uint16))
    assert (unwrapped - unwrapped[0] == truth - truth[0]).all()
