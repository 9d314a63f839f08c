"""FEC packets of RFC 5109, with packets made here by exclusive or; GStreamer's are in tests/interop."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import reduce
from operator import xor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.rtp import RtpPacket
from receiver.repair.ulpfec import MAX_WAITING, XorRebuilder

FIRST = 2 * 65_536 - 10


def media(number: int, size: int = 20) -> bytes:
    return bytes(RtpPacket(96, number & 0xFFFF, number * 9, 3, random.Random(number).randbytes(size), number % 3 == 0))


def fec(numbers: Sequence[int], size: int = 20) -> bytes:
    """Field by field from RFC 5109 §8.1, for payloads of one size."""
    packets = [media(number, size) for number in numbers]
    body = bytes(reduce(xor, octets) for octets in zip(*(packet[12:] for packet in packets), strict=True))
    second, length = reduce(xor, (packet[1] for packet in packets)), size if len(packets) % 2 else 0
    timestamp = bytes(reduce(xor, octets) for octets in zip(*(packet[4:8] for packet in packets), strict=True))
    base = min(numbers)
    mask = sum(0x8000 >> (number - base) for number in numbers)
    return (
        bytes([0, second]) + (base & 0xFFFF).to_bytes(2) + timestamp
        + length.to_bytes(2) + size.to_bytes(2) + mask.to_bytes(2) + body
    )  # fmt: skip


def with_media(numbers: Sequence[int]) -> XorRebuilder:
    rebuilder = XorRebuilder(3)
    for number in numbers:
        assert rebuilder.observe(number, media(number)) == []
    return rebuilder


def test_one_of_four() -> None:
    rebuilder = with_media([FIRST, FIRST + 1, FIRST + 3])
    assert rebuilder.repair(fec(range(FIRST, FIRST + 4))) == [(FIRST + 2, media(FIRST + 2))]
    assert rebuilder.repair(fec(range(FIRST, FIRST + 2))) == []
    told = rebuilder.statistics()
    assert (told.received, told.rebuilt, told.unneeded, told.waiting) == (2, 1, 1, 0)


def test_one_rebuilt_packet_helps_the_next() -> None:
    rebuilder = with_media([FIRST, FIRST + 5])
    assert rebuilder.repair(fec([FIRST, FIRST + 9, FIRST + 10])) == []
    assert rebuilder.repair(fec([FIRST + 5, FIRST + 9])) == [
        (FIRST + 9, media(FIRST + 9)), (FIRST + 10, media(FIRST + 10))
    ]  # fmt: skip


def test_an_overtaken_packet_completes_it() -> None:
    rebuilder = with_media([FIRST])
    assert rebuilder.repair(fec(range(FIRST, FIRST + 3))) == []
    assert rebuilder.observe(FIRST + 2, media(FIRST + 2)) == [(FIRST + 1, media(FIRST + 1))]


@given(lost=st.sets(st.integers(1, 59), max_size=20), seed=st.integers(0, 100))
@settings(max_examples=50, deadline=None)
def test_what_is_rebuilt_is_what_was_sent(lost: set[int], seed: int) -> None:
    dice, rebuilder, found = random.Random(seed), XorRebuilder(3), []
    for number in range(FIRST, FIRST + 60):
        if number - FIRST not in lost:
            found += rebuilder.observe(number, media(number))
        if number % 4 == 0:
            window = range(max(FIRST, number - 8), number + 1)
            found += rebuilder.repair(fec(sorted(dice.sample(window, min(len(window), 5)))))
    assert all(rebuilt.datagram == media(rebuilt.number) for rebuilt in found)
    assert len({rebuilt.number for rebuilt in found}) == len(found)
    assert {rebuilt.number - FIRST for rebuilt in found} <= lost | {*range(60, 64)}


@pytest.mark.parametrize("number", [FIRST + 300, FIRST - 2000])
def test_about_packets_far_away(number: int) -> None:
    rebuilder = with_media(range(FIRST, FIRST + 20))
    assert rebuilder.repair(fec([number, number + 1])) == []
    assert rebuilder.statistics().refused == {"ulpfec_number": 1}


def test_before_any_media() -> None:
    assert XorRebuilder(3).repair(fec([1, 2])) == []


def test_one_that_contradicts_what_came() -> None:
    rebuilder = with_media([FIRST])
    false = bytearray(fec([FIRST, FIRST + 1]))
    false[1] ^= 1
    assert rebuilder.repair(bytes(false)) == []
    assert rebuilder.statistics().refused == {"ulpfec_inconsistent": 1}


def test_its_memory_is_bounded() -> None:
    rebuilder = with_media([FIRST])
    for number in range(FIRST, FIRST + 5000):
        if number % 3 == 0:
            rebuilder.observe(number, media(number))
        rebuilder.repair(fec([number, number + 1, number + 2]))
    assert rebuilder.statistics().waiting <= MAX_WAITING


@given(payloads=st.lists(st.binary(max_size=60), max_size=20))
def test_any_octets(payloads: list[bytes]) -> None:
    rebuilder = with_media(range(FIRST, FIRST + 3))
    for payload in payloads:
        rebuilder.repair(payload)
        near = payload[:2] + (FIRST & 0xFFFF).to_bytes(2) + payload[4:]
        assert all(FIRST <= rebuilt.number < FIRST + 48 for rebuilt in rebuilder.repair(near))
