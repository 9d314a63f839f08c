"""Reed–Solomon over packets, beside exclusive or of the same packets and logarithm tables (`make bench`).

Gbit/s of source packets and CPU time, the best of several rounds, in turn.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from protocol.fec import reed_solomon
from protocol.fec.reed_solomon import Equation
from tests.protocol.fec.test_gf256 import slowly

pytestmark = pytest.mark.bench
OCTETS = 1200
NUMBERS, ROWS = range(5000, 5020), range(7, 12)
PACKETS = [np.random.default_rng(n).bytes(OCTETS) for n in NUMBERS]
ROUNDS, REPEATED = 25, 20


def encode() -> NDArray[np.uint8]:
    return reed_solomon.encode(NUMBERS, reed_solomon.stack(PACKETS, OCTETS), ROWS)


def exclusive_or() -> NDArray[np.uint8]:
    """Five parity packets of nothing but sums, as RFC 5109 makes one."""
    symbols = reed_solomon.stack(PACKETS, OCTETS)
    return np.stack([np.bitwise_xor.reduce(symbols, axis=0) for _ in ROWS])


def _logarithms() -> tuple[NDArray[np.intp], NDArray[np.uint8]]:
    powers = [1]
    while len(powers) < 255:
        powers.append(slowly(powers[-1], 2))
    logarithms = np.full(256, 1024)  # of 0: leads to the zeros behind
    logarithms[powers] = np.arange(255)
    return logarithms, np.array([*powers, *powers, *[0] * 2048], np.uint8)


LOGARITHMS, POWERS = _logarithms()


def by_logarithms() -> NDArray[np.uint8]:
    """Each product as the power of a sum of logarithms."""
    coefficients = LOGARITHMS[reed_solomon.coefficients(ROWS, NUMBERS)]
    symbols = LOGARITHMS[reed_solomon.stack(PACKETS, OCTETS)]
    return np.stack([np.bitwise_xor.reduce(POWERS[symbols + row[:, None]], axis=0) for row in coefficients])


EQUATIONS = [Equation(row, NUMBERS, symbol.tobytes()) for row, symbol in zip(ROWS, encode(), strict=True)]
LOST = {5000, 5003, 5004, 5011, 5019}


def decode() -> dict[int, bytes]:
    return reed_solomon.solve(EQUATIONS, lambda number: None if number in LOST else PACKETS[number - NUMBERS[0]])


def rates(*jobs: Callable[[], object]) -> list[float]:
    """Gbit/s of each."""
    best = [float("inf")] * len(jobs)
    for _ in range(ROUNDS):
        for i, job in enumerate(jobs):
            begin = time.process_time()
            for _ in range(REPEATED):
                job()
            best[i] = min(best[i], (time.process_time() - begin) / REPEATED)
    return [len(PACKETS) * OCTETS * 8 / seconds / 1e9 for seconds in best]


def test_twenty_and_five_of_1200_octets() -> None:
    assert encode().tolist() == by_logarithms().tolist()  # and warm
    assert decode() == {number: PACKETS[number - NUMBERS[0]] for number in LOST}
    ours, decoded, xor, logarithms = rates(encode, decode, exclusive_or, by_logarithms)
    print(
        f"\nReed–Solomon 20+5: encode {ours:.2f} Gbit/s (wanted 2), decode five losses {decoded:.2f}; "
        f"five plain sums {xor:.2f}, logarithm tables {logarithms:.2f}"
    )
    assert ours >= 3 * logarithms
    assert decoded >= 0.6 * logarithms
