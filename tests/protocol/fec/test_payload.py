"""Repair packets octet by octet, and the symbols of what they protect."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import Malformed, ProtocolError, Truncated
from protocol.fec import payload
from protocol.fec.payload import Repair
from protocol.rtp import RtpPacket

# By hand, from the picture in docs/wire.md.
REPAIR = bytes.fromhex("deadbeef fffe 05 03 000102030405060708090a0b0c")
MEDIA = bytes.fromhex("80e0 0102 0a0b0c0d deadbeef cafe")
BODY = bytes.fromhex("000e 80e0 0a0b0c0d cafe")

packets = st.builds(
    RtpPacket,
    payload_type=st.integers(0, 127),
    sequence_number=st.integers(0, 0xFFFF),
    timestamp=st.integers(0, 0xFFFF_FFFF),
    ssrc=st.just(0xDEADBEEF),
    payload=st.binary(max_size=40),
    marker=st.booleans(),
    csrc=st.lists(st.integers(0, 0xFFFF_FFFF), max_size=3).map(tuple),
    extensions=st.dictionaries(st.integers(1, 14), st.binary(min_size=1, max_size=16), max_size=3),
    padding=st.integers(0, 20),
)


def remainder(data: bytes) -> int:
    """CRC-32 as in ISO 3309, bit by bit."""
    value = 0xFFFF_FFFF
    for octet in data:
        value ^= octet
        for _ in range(8):
            value = value >> 1 ^ (0xEDB8_8320 if value & 1 else 0)
    return value ^ 0xFFFF_FFFF


def test_the_octets_of_a_repair_packet() -> None:
    repair = Repair(0xDEADBEEF, 0xFFFE, 5, 3, bytes(range(13)))
    assert bytes(repair) == REPAIR
    assert Repair.parse(REPAIR) == repair


def test_the_octets_of_a_symbol() -> None:
    symbol = payload.symbol(MEDIA)
    assert symbol[4:] == BODY
    assert len(symbol) == len(MEDIA)
    assert int.from_bytes(symbol[:4]) == zlib.crc32(BODY, 0x0102)
    assert payload.datagram(symbol + bytes(9), 0x7_0102, 0xDEADBEEF) == MEDIA


def test_the_sum_begins_with_the_number() -> None:
    """For number 0 it is the CRC-32 that everybody has."""
    first = MEDIA[:2] + bytes(2) + MEDIA[4:]
    assert int.from_bytes(payload.symbol(first)[:4]) == remainder(BODY)


@given(packet=packets, number=st.integers(0, 1 << 40), filled=st.integers(0, 30))
def test_every_packet_comes_back(packet: RtpPacket, number: int, filled: int) -> None:
    data = bytes(packet)
    data = data[:2] + (number & 0xFFFF).to_bytes(2) + data[4:]
    assert payload.datagram(payload.symbol(data) + bytes(filled), number, 0xDEADBEEF) == data


@pytest.mark.parametrize("size", [0, 7, 8, 19])
def test_too_short(size: int) -> None:
    with pytest.raises(Truncated, match="fec_header"):
        Repair.parse((REPAIR + bytes(20))[:size])


@pytest.mark.parametrize(("count", "stride"), [(0, 1), (1, 0), (129, 1), (65, 2), (255, 255), (0, 0)])
def test_windows_that_no_code_word_has(count: int, stride: int) -> None:
    with pytest.raises(Malformed, match="fec_window"):
        Repair.parse(REPAIR[:6] + bytes([count, stride]) + bytes(20))


@pytest.mark.parametrize(("count", "stride"), [(128, 1), (64, 2), (1, 255)])
def test_windows_of_the_whole_span(count: int, stride: int) -> None:
    assert Repair.parse(REPAIR[:6] + bytes([count, stride]) + bytes(20)).count == count


def test_another_number_another_sum() -> None:
    with pytest.raises(Malformed, match="fec_inconsistent"):
        payload.datagram(payload.symbol(MEDIA), 0x0103, 0xDEADBEEF)


@given(bit=st.integers(0, 8 * (len(MEDIA) + 4) - 1))
def test_no_octet_can_be_another(bit: int) -> None:
    symbol = bytearray(payload.symbol(MEDIA) + bytes(4))
    symbol[bit // 8] ^= 0x80 >> bit % 8
    with pytest.raises(Malformed, match="fec_inconsistent"):
        payload.datagram(bytes(symbol), 0x0102, 0xDEADBEEF)


@given(data=st.binary(max_size=60))
def test_any_octets(data: bytes) -> None:
    try:
        repair = Repair.parse(data)
    except ProtocolError:
        return
    assert bytes(repair) == data
    with pytest.raises(Malformed, match="fec_inconsistent"):
        payload.datagram(repair.symbol, repair.first, repair.media_ssrc)
