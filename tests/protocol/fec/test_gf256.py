"""GF(2^8): against multiplication bit by bit, and the powers of x in ISO/IEC 18004 (QR codes: same field)."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from protocol.fec import gf256

# ISO/IEC 18004, annex A: exponents 0 to 25 of the primitive element.
POWERS = [1, 2, 4, 8, 16, 32, 64, 128, 29, 58, 116, 232, 205, 135, 19, 38, 76, 152, 45, 90, 180, 117, 234, 201, 143, 3]


def slowly(a: int, b: int) -> int:
    """The product of two polynomials, reduced by long division."""
    product = 0
    for bit in range(8):
        if b >> bit & 1:
            product ^= a << bit
    for bit in range(14, 7, -1):
        if product >> bit & 1:
            product ^= 0x11D << (bit - 8)
    return product


def matrices(rows: int, columns: int, seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (rows, columns), dtype=np.uint8)


def times(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A matrix product, octet by octet."""
    out = np.zeros((len(a), b.shape[1]), np.uint8)
    for i, j, k in np.ndindex(len(a), b.shape[1], len(b)):
        out[i, j] ^= slowly(int(a[i, k]), int(b[k, j]))
    return out


def test_every_product() -> None:
    expected = [[slowly(a, b) for b in range(256)] for a in range(256)]
    assert gf256.PRODUCTS.tolist() == expected


def test_the_powers_of_the_standard() -> None:
    value = 1
    for power in POWERS:
        assert value == power
        value = int(gf256.PRODUCTS[value, 2])


def test_inverses() -> None:
    assert [slowly(a, int(gf256.INVERSES[a])) for a in range(1, 256)] == [1] * 255


def test_matrix_product_with_more_rows_than_a_word_has_octets() -> None:
    a, b = matrices(11, 5, 1), matrices(5, 7, 2)
    assert gf256.multiply(a, b).tolist() == times(a, b).tolist()


def test_no_rows_at_all() -> None:
    assert gf256.multiply(np.zeros((0, 3), np.uint8), matrices(3, 4, 1)).shape == (0, 4)


@given(rows=st.integers(0, 6), columns=st.integers(0, 6), seed=st.integers(0, 1000), repeated=st.booleans())
def test_elimination(rows: int, columns: int, seed: int, repeated: bool) -> None:
    matrix = matrices(rows, columns, seed)
    if repeated and rows > 1:
        matrix[-1] = matrix[0]
    reduced, transform, leading = gf256.eliminate(matrix)
    assert times(transform, matrix).tolist() == reduced.tolist()
    assert len(gf256.eliminate(transform)[2]) == rows  # nothing was lost on the way
    for at, column in enumerate(leading):
        assert reduced[:, column].tolist() == [row == at for row in range(rows)]
        assert not reduced[at, :column].any()
    assert not reduced[len(leading) :].any()
    assert leading == sorted(leading)
