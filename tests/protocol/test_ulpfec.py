"""RFC 5109: its own example, and one by hand."""

import random
from itertools import zip_longest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import rtp, ulpfec
from protocol.errors import Malformed, ProtocolError, Truncated, Unsupported
from protocol.rtp import RtpPacket


def packet(number: int, payload_type: int, timestamp: int, size: int, *, marker: bool) -> bytes:
    return bytes(RtpPacket(payload_type, number, timestamp, 2, random.Random(number).randbytes(size), marker))


# The example of RFC 5109 §10.1: its four packets (what they carry is ours), and the FEC packet's headers printed there.
PACKETS = [
    packet(8, 11, 3, 200, marker=True),
    packet(9, 18, 5, 140, marker=False),
    packet(10, 11, 7, 100, marker=True),
    packet(11, 18, 9, 340, marker=False),
]
HEADERS = bytes.fromhex("0000 0008 00000008 0174  0154 f000")
BODY = bytes(a ^ b ^ c ^ d for a, b, c, d in zip_longest(*(data[12:] for data in PACKETS), fillvalue=0))

# Two packets whose exclusive or can be read off: payload type 11, lengths 10 and 11.
A = bytes.fromhex("800b0008 00000003 00000002 00112233445566778899")
B = bytes.fromhex("808b0009 00000005 00000002 ffeeddccbbaa9988776655")
FEC = bytes.fromhex("0080 0008 00000006 0001 000b c000 ffffffffffffffffffff55")


@pytest.mark.parametrize("missing", range(4))
def test_the_example_of_the_rfc(missing: int) -> None:
    fec = ulpfec.parse(HEADERS + BODY)
    assert (fec.base, fec.offsets) == (8, (0, 1, 2, 3))
    others = [data for at, data in enumerate(PACKETS) if at != missing]
    assert ulpfec.recover(fec, others, 8 + missing, 2) == PACKETS[missing]


@pytest.mark.parametrize(("missing", "other"), [(A, B), (B, A)])
def test_each_from_the_other(missing: bytes, other: bytes) -> None:
    assert ulpfec.recover(ulpfec.parse(FEC), [other], int.from_bytes(missing[2:4]), 2) == missing


def test_the_long_mask() -> None:
    long = bytes([0x40]) + FEC[1:12] + bytes.fromhex("800000000001") + FEC[14:]
    assert ulpfec.parse(long).offsets == (0, 47)
    assert ulpfec.parse(long).body == ulpfec.parse(FEC).body
    with pytest.raises(Truncated, match="ulpfec_header"):
        ulpfec.parse(long[:16])


def test_further_levels_are_not_read() -> None:
    assert ulpfec.parse(FEC + bytes.fromhex("0002 8000 abcd")) == ulpfec.parse(FEC)


@pytest.mark.parametrize(
    ("error", "reason", "payload"),
    [
        (Truncated, "ulpfec_header", b""),
        (Truncated, "ulpfec_header", FEC[:13]),
        (Truncated, "ulpfec_length", FEC[:-1]),
        (Malformed, "ulpfec_mask", FEC[:12] + bytes(13)),
        (Unsupported, "ulpfec_extension", b"\x80" + FEC[1:]),
    ],
)
def test_what_cannot_be_read(error: type[ProtocolError], reason: str, payload: bytes) -> None:
    with pytest.raises(error, match=reason):
        ulpfec.parse(payload)


@pytest.mark.parametrize(
    ("reason", "octet", "value"),
    [
        ("ulpfec_partial", 9, 0xFF),  # a length beyond what is protected
        ("ulpfec_inconsistent", 9, 0x0B),  # a length before the end of what is not zero
        ("ulpfec_inconsistent", 0, 0x20),  # padding of 0x99 octets
        ("ulpfec_inconsistent", 0, 0x0F),  # fifteen CSRCs in ten octets
    ],
)
def test_what_is_no_packet(reason: str, octet: int, value: int) -> None:
    fec = ulpfec.parse(FEC[:octet] + bytes([value]) + FEC[octet + 1 :])
    with pytest.raises(ProtocolError, match=reason):
        ulpfec.recover(fec, [B], 8, 2)


@given(data=st.binary(max_size=60) | st.binary(max_size=30).map(lambda b: FEC[:8] + b), other=st.binary(max_size=30))
def test_any_octets(data: bytes, other: bytes) -> None:
    try:
        packet = ulpfec.recover(ulpfec.parse(data), [B + other], 8, 2)
    except ProtocolError:
        return
    assert rtp.parse(packet).sequence_number == 8
