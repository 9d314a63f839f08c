"""The code over packets: any k of k + m, windows that slide, and what contradicts itself."""

from __future__ import annotations

import tracemalloc
from collections.abc import Collection, Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import Malformed
from protocol.fec import reed_solomon
from protocol.fec.reed_solomon import Equation
from tests.protocol.fec.test_gf256 import slowly

first_numbers = st.integers(0, 1 << 40)


def source(numbers: Sequence[int], length: int, seed: int = 0) -> dict[int, bytes]:
    """Symbols, the first of them `length` octets, the others up to that, all ending in an octet that is not 0."""
    random = np.random.default_rng(seed)
    sizes = [length, *random.integers(1, length + 1, len(numbers) - 1).tolist()]
    return {n: random.bytes(size - 1) + b"\1" for n, size in zip(numbers, sizes, strict=True)}


def repair(symbols: dict[int, bytes], covered: range, rows: Sequence[int]) -> list[Equation]:
    here = [symbols[number] for number in covered]
    length = max(map(len, here))
    encoded = reed_solomon.encode(covered, reed_solomon.stack(here, length), rows)
    return [Equation(row, covered, symbol.tobytes()) for row, symbol in zip(rows, encoded, strict=True)]


def solve(symbols: dict[int, bytes], lost: Collection[int], equations: Sequence[Equation]) -> dict[int, bytes]:
    found = reed_solomon.solve(equations, lambda number: None if number in lost else symbols[number])
    return {number: symbol.rstrip(b"\0") for number, symbol in found.items()}


def test_a_row_octet_by_octet() -> None:
    """Σ symbol / (x + y), with the reciprocal found by trying all."""
    covered, row = range(1000, 1015, 7), 300
    symbols = source(covered, 9)
    (equation,) = repair(symbols, covered, [row])
    expected = bytearray(9)
    for number, symbol in symbols.items():
        divisor = (128 + row % 128) ^ number % 128
        factor = next(f for f in range(256) if slowly(f, divisor) == 1)
        for at, octet in enumerate(symbol):
            expected[at] ^= slowly(factor, octet)
    assert equation.symbol == bytes(expected)


def test_any_four_of_seven() -> None:
    covered = range(65_534, 65_538)
    symbols = source(covered, 20)
    equations = repair(symbols, covered, range(126, 129))
    for here in combinations(range(7), 4):
        lost = [number for at, number in enumerate(covered) if at not in here]
        came = [equation for at, equation in enumerate(equations) if at + 4 in here]
        assert solve(symbols, lost, came) == {number: symbols[number] for number in lost}


@given(first_numbers, st.integers(1, 128), st.integers(0, 1000), st.integers(0, 30), st.data())
@settings(max_examples=60, deadline=None)
def test_any_k_of_k_and_m(first: int, k: int, row: int, m: int, data: st.DataObject) -> None:
    covered = range(first, first + k)
    symbols = source(covered, 30, seed=k)
    equations = repair(symbols, covered, range(row, row + m))
    losses = min(k, m)
    lost = data.draw(st.sets(st.sampled_from(covered), max_size=losses)) if losses else set()
    came = data.draw(st.permutations(equations))[: len(lost)]
    assert solve(symbols, lost, came) == {number: symbols[number] for number in lost}
    if lost:
        assert solve(symbols, lost, came[1:]) == {}


@given(first_numbers, st.sampled_from([2, 3, 5]), st.integers(2, 25))
@settings(max_examples=30, deadline=None)
def test_every_third_packet(first: int, stride: int, k: int) -> None:
    covered = range(first, first + k * stride, stride)
    symbols = source(covered, 12)
    lost = set(covered[:2])
    assert solve(symbols, lost, repair(symbols, covered, [5, 9])) == {number: symbols[number] for number in lost}


def test_windows_that_overlap_are_solved_together() -> None:
    """Two lost in each of two windows that share one of them, a repair packet less than two windows of a block need."""
    symbols = source(range(20), 16)
    equations = repair(symbols, range(10), [0, 1]) + repair(symbols, range(5, 15), [2])
    lost = {2, 7, 12}
    assert solve(symbols, lost, equations) == {number: symbols[number] for number in lost}
    assert solve(symbols, lost, equations[:1] + equations[2:]) == {}


def test_what_is_determined_comes_though_the_rest_is_not() -> None:
    symbols = source(range(20), 16)
    equations = repair(symbols, range(5), [0]) + repair(symbols, range(10), [1])
    assert solve(symbols, {3, 7, 8}, equations) == {3: symbols[3]}


def test_a_window_of_short_packets_helps_one_of_long_ones() -> None:
    symbols = {0: b"a", 1: b"bc", 2: b"d" * 50, 3: b"e" * 3}
    equations = repair(symbols, range(2), [0]) + repair(symbols, range(4), [1])
    assert solve(symbols, {1, 2}, equations) == {1: symbols[1], 2: symbols[2]}


def test_more_equations_than_unknowns_must_agree() -> None:
    symbols = source(range(10), 16)
    good = repair(symbols, range(10), [0, 1, 2])
    assert solve(symbols, {4}, good) == {4: symbols[4]}
    bad = Equation(1, range(10), bytes(16))
    with pytest.raises(Malformed, match="fec_contradiction"):
        solve(symbols, {4}, [good[0], bad])
    with pytest.raises(Malformed, match="fec_contradiction"):
        solve(symbols, set(), [bad])


def test_a_packet_longer_than_its_repair_symbol() -> None:
    symbols = source(range(10), 16)
    with pytest.raises(Malformed, match="fec_contradiction"):
        solve(symbols | {3: bytes(40)}, {4}, repair(symbols, range(10), [0]))


def test_nothing_asked() -> None:
    assert reed_solomon.solve([], lambda _: None) == {}
    assert reed_solomon.encode(range(3), np.zeros((3, 5), np.uint8), []).shape == (0, 5)


def test_tables_are_bounded() -> None:
    """However rows run on: 32 tables of 256 KB."""
    symbols = np.zeros((1, 1), np.uint8)
    for row in range(128):
        reed_solomon.encode([0], symbols, [row])
    tracemalloc.start()
    for row in range(128, 1000):
        reed_solomon.encode([row], symbols, [row])
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 100_000
