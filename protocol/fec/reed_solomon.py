"""A systematic Reed–Solomon code over packets whose blocks may overlap.

Repair row r of source packets s, s', … is the sum of their symbols, each times 1 / (x_r + y_s), with y_s = s mod 128
and x_r = 128 + r mod 128. That is a Cauchy matrix: each square part of it has an inverse, so any k of a block's k + m
packets give the others (the code is MDS). The coefficients depend on the two numbers alone, not on the block: a window
may slide over the source by any step, and all rows that came are solved together. Within 128 source and 128 repair
numbers no two rows, and no two columns, are the same.

A symbol is the octets of a packet; shorter ones count as filled up with zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from protocol.errors import Malformed
from protocol.fec import gf256
from protocol.fec.gf256 import Octets

SPAN = 128
"""numbers, after which the coefficients repeat."""
_STEP = 4
"""rows between tables: they overlap, so that five in a row find one with all of them."""


@dataclass(frozen=True, slots=True)
class Equation:
    """A repair packet, as a statement about source packets."""

    row: int
    covered: range
    """extended sequence numbers, within SPAN of each other."""
    symbol: bytes
    """as long as the longest of the covered."""


def coefficients(rows: Sequence[int], numbers: Sequence[int]) -> Octets:
    """Shape (rows, numbers)."""
    x, y = np.array(rows, np.intp) % SPAN + SPAN, np.array(numbers, np.intp) % SPAN
    values: Octets = gf256.INVERSES[x[:, None] ^ y]
    return values


@cache
def _tables(first_row: int) -> NDArray[np.uint64]:
    """Of all sources for eight rows; at most 32 times 256 KB."""
    return gf256.tables(coefficients(range(first_row, first_row + gf256.ROWS), range(SPAN)))


def stack(symbols: Sequence[bytes], length: int) -> Octets:
    """Symbols of at most `length` octets, filled up: (n, length)."""
    return np.frombuffer(b"".join([symbol.ljust(length, b"\0") for symbol in symbols]), np.uint8).reshape(-1, length)


def encode(numbers: Sequence[int], symbols: Octets, rows: Sequence[int]) -> Octets:
    """The repair symbols of so many rows. (k, length) -> (rows, length).

    Takes k table look-ups an octet for up to eight rows at a time where those follow each other."""
    columns = np.array(numbers, np.intp) % SPAN
    parts = [
        gf256.combine(_tables(first), columns, symbols)[[(row - first) % SPAN for row in together]]
        for first, together in _together(rows)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, symbols.shape[1]), np.uint8)


def _together(rows: Sequence[int]) -> Iterator[tuple[int, Sequence[int]]]:
    """Rows that one table has, with its first."""
    at = 0
    while at < len(rows):
        first = rows[at] % SPAN // _STEP * _STEP
        end = at + 1
        while end < len(rows) and (rows[end] - first) % SPAN < gf256.ROWS:
            end += 1
        yield first, rows[at:end]
        at = end


def solve(equations: Sequence[Equation], known: Callable[[int], bytes | None]) -> dict[int, bytes]:
    """What the equations together say of the symbols that are not known; no more than they determine.

    `known`: a source packet's symbol, None where it is missing. Raises Malformed `fec_contradiction` when equations
    contradict each other or what is known."""
    covered = {number for equation in equations for number in equation.covered}
    if not covered:
        return {}
    symbols = {number: known(number) for number in sorted(covered)}
    missing = [number for number, symbol in symbols.items() if symbol is None]
    matrix = coefficients([equation.row for equation in equations], missing)
    outside = [number not in equation.covered for equation in equations for number in missing]
    matrix[np.array(outside, bool).reshape(matrix.shape)] = 0
    reduced, transform, leading = gf256.eliminate(matrix)
    alone = np.count_nonzero(reduced[: len(leading)], axis=1) == 1
    if not alone.any() and len(leading) == len(equations):
        return {}
    sums = gf256.multiply(transform, _remainders(equations, symbols))
    if sums[len(leading) :].any():
        raise Malformed("fec_contradiction", "more equations than unknowns, and they disagree")
    return {missing[leading[at]]: sums[at].tobytes() for at in np.flatnonzero(alone)}


def _remainders(equations: Sequence[Equation], symbols: Mapping[int, bytes | None]) -> Octets:
    """What each repair symbol says of the missing ones alone: without what the known ones have added to it."""
    length = max(len(equation.symbol) for equation in equations)
    remainders = stack([equation.symbol for equation in equations], length).copy()
    blocks: dict[range, list[int]] = {}
    for at, equation in enumerate(equations):
        blocks.setdefault(equation.covered, []).append(at)
    for covered, members in blocks.items():
        here = {number: symbol for number in covered if (symbol := symbols[number]) is not None}
        if any(len(symbol) > len(equations[at].symbol) for symbol in here.values() for at in members):
            raise Malformed("fec_contradiction", "a covered packet is longer than its repair symbol")
        if here:
            rows = [equations[at].row for at in members]
            remainders[members] ^= encode([*here], stack([*here.values()], length), rows)
    return remainders
