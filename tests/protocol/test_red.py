"""RFC 2198, octet by octet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import red
from protocol.errors import Malformed, ProtocolError, Truncated, UsageError
from protocol.red import Block, Red

# RFC 2198 §4's example: LPC (7), 20 ms before DVI4 (5) at 8 kHz, header bits set by hand from §3's picture:
# F=1, PT 7, offset 160 (14 bits), length 14 (10 bits); F=0, PT 5.
LPC, DVI4 = bytes(range(14)), b"primary"
PACKET = bytes([0b1000_0111, 0b0000_0010, 0b1000_0000, 0b0000_1110, 0b0000_0101]) + LPC + DVI4

blocks = st.builds(Block, st.integers(0, 127), st.integers(0, 16_383), st.binary(max_size=30))
carried = st.builds(Red, st.integers(0, 127), st.binary(max_size=30), st.lists(blocks, max_size=5).map(tuple))


def test_the_example_of_the_rfc() -> None:
    value = Red(5, DVI4, (Block(7, 160, LPC),))
    assert red.parse(PACKET) == value
    assert bytes(value) == PACKET


def test_nothing_repeated() -> None:
    assert bytes(Red(97, b"opus")) == b"\x61opus"
    assert red.parse(b"\x61opus") == Red(97, b"opus")


@given(value=carried)
def test_there_and_back(value: Red) -> None:
    assert red.parse(bytes(value)) == value


@pytest.mark.parametrize("block", [Block(0, 16_384, b""), Block(0, 0, bytes(1024))])
def test_what_the_format_cannot_say(block: Block) -> None:
    with pytest.raises(UsageError):
        bytes(Red(0, b"", (block,)))


@pytest.mark.parametrize("size", range(5))
def test_it_ends_within_its_headers(size: int) -> None:
    with pytest.raises(Truncated, match="red_header"):
        red.parse(PACKET[:size])


@pytest.mark.parametrize("size", [5, 18])
def test_lengths_past_the_end(size: int) -> None:
    with pytest.raises(Truncated, match="red_length"):
        red.parse(PACKET[:size])


def test_an_empty_primary_block() -> None:
    assert red.parse(PACKET[:19]).payload == b""


def test_endless_headers() -> None:
    with pytest.raises(Malformed, match="red_blocks"):
        red.parse(b"\x80\0\0\0" * 300)


@given(data=st.binary(max_size=80) | st.binary(max_size=30).map(lambda b: PACKET[:5] + b))
def test_any_octets(data: bytes) -> None:
    try:
        value = red.parse(data)
    except ProtocolError:
        return
    assert red.parse(bytes(value)) == value
