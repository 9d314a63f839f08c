"""Arithmetic in GF(2^8), on whole packets at once.

The field is that of RFC 5510 and RFC 6865: polynomials over GF(2) modulo x^8 + x^4 + x^3 + x^2 + 1. Addition is
exclusive or. Eight products of an octet fit in one 64-bit word: one look-up multiplies it for eight rows of a matrix.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

POLYNOMIAL = 0x11D
ROWS = 8
"""rows of a matrix that one look-up serves."""
Octets = NDArray[np.uint8]


def _powers() -> list[int]:
    """x^0 to x^254: every element but 0."""
    values = [1]
    for _ in range(254):
        double = values[-1] << 1
        values.append(double ^ POLYNOMIAL if double & 0x100 else double)
    return values


def _products() -> tuple[Octets, Octets]:
    """Of all pairs, shape (256, 256), and of what with each element is 1, shape (256,)."""
    powers = np.array(_powers(), np.uint8)
    logarithms = np.zeros(256, np.intp)
    logarithms[powers] = np.arange(255)
    products = powers[(logarithms[:, None] + logarithms) % 255]
    products[0] = products[:, 0] = 0
    return products, powers[-logarithms % 255]


PRODUCTS, INVERSES = _products()
"""PRODUCTS[a, b] = a · b; INVERSES[a] · a = 1 (of 0 it has no meaning)."""


def tables(matrix: Octets) -> NDArray[np.uint64]:
    """What `combine` looks up. matrix: (m, n), m up to ROWS -> (n, 256), the m products of each octet in a word."""
    m, n = matrix.shape
    products = np.zeros((n, 256, ROWS), np.uint8)
    products[:, :, :m] = PRODUCTS[matrix.T].transpose(0, 2, 1)
    return products.view(np.uint64)[:, :, 0]


def combine(looked_up: NDArray[np.uint64], columns: NDArray[np.intp], symbols: Octets) -> Octets:
    """ROWS linear combinations of k symbols, (k, length) -> (ROWS, length).

    `looked_up`: (n, 256) tables, contiguous; `columns`: (k,), which of them is meant for each symbol."""
    index = symbols.astype(np.intp)
    index += columns[:, None] * 256
    words: NDArray[np.uint64] = np.bitwise_xor.reduce(looked_up.reshape(-1).take(index), axis=0)
    return words.view(np.uint8).reshape(-1, ROWS).T


def multiply(matrix: Octets, symbols: Octets) -> Octets:
    """The product of matrices (m, n) and (n, length): (m, length)."""
    columns = np.arange(len(symbols))
    parts = [combine(tables(matrix[at : at + ROWS]), columns, symbols) for at in range(0, len(matrix), ROWS)]
    return np.concatenate(parts)[: len(matrix)] if parts else np.zeros((0, symbols.shape[1]), np.uint8)


def eliminate(matrix: Octets) -> tuple[Octets, Octets, list[int]]:
    """Gauss and Jordan. (m, n) -> its reduced echelon form (m, n), the T (m, m) of T · matrix that makes it, and the
    column of each row's leading 1; the rows after those are zero."""
    m, n = matrix.shape
    rows = np.concatenate([matrix, np.eye(m, dtype=np.uint8)], axis=1)
    leading: list[int] = []
    for column in range(n):
        at = len(leading)
        candidates = np.flatnonzero(rows[at:, column])
        if not len(candidates):
            continue
        rows[[at, at + candidates[0]]] = rows[[at + candidates[0], at]]
        rows[at] = PRODUCTS[INVERSES[rows[at, column]], rows[at]]
        factors = rows[:, column].copy()
        factors[at] = 0
        rows ^= PRODUCTS[factors[:, None], rows[at]]
        leading.append(column)
    return rows[:, :n], rows[:, n:], leading
