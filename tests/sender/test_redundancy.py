"""Sound that repeats itself, read back with the parser that its own tests hold against RFC 2198."""

from __future__ import annotations

from protocol import red, rtp
from protocol.red import Block
from protocol.rtp import RtpPacket
from sender.transmit.redundancy import Redundancy


def sound(number: int, size: int = 80, *, marker: bool = False, timestamp: int | None = None) -> bytes:
    time = number * 960 if timestamp is None else timestamp
    return bytes(RtpPacket(97, number, time & 0xFFFF_FFFF, 5, bytes([number]) * size, marker))


def redundancy(depth: int, max_datagram: int = 1200) -> Redundancy:
    made = Redundancy(101, max_datagram)
    made.depth = depth
    return made


def repeated(datagram: bytes) -> list[tuple[int, int]]:
    """(ticks back, first octet) of each repeated payload."""
    return [(block.offset, block.payload[0]) for block in red.parse(rtp.parse(datagram).payload).redundant]


def test_two_payloads_before() -> None:
    made = redundancy(2)
    packets = [made.wrap(sound(n, marker=n == 1)) for n in range(1, 6)]
    assert [repeated(packet) for packet in packets] == [
        [], [(960, 1)], [(1920, 1), (960, 2)], [(1920, 2), (960, 3)], [(1920, 3), (960, 4)]
    ]  # fmt: skip
    last, plain = rtp.parse(packets[-1]), rtp.parse(sound(5))
    assert (last.payload_type, last.sequence_number, last.timestamp, last.ssrc) == (101, 5, 4800, 5)
    assert red.parse(last.payload).payload_type == 97
    assert red.parse(last.payload).payload == plain.payload
    assert made.octets == sum(map(len, packets)) - 5 * len(plain.payload) - 5 * 12


def test_depth_changes_at_any_moment() -> None:
    made = redundancy(0)
    assert made.wrap(sound(1)) == sound(1)
    made.depth = 1
    assert repeated(made.wrap(sound(2))) == [(960, 1)], "what left plain can be repeated too"
    made.depth = 0
    assert made.wrap(sound(3)) == sound(3)


def test_nothing_is_repeated_across_a_silence() -> None:
    made = redundancy(3)
    made.wrap(sound(1, marker=True))
    assert repeated(made.wrap(sound(2, marker=True, timestamp=9000))) == []
    assert repeated(made.wrap(sound(3, timestamp=9960))) == [(960, 2)]


def test_what_is_too_old_or_too_long_is_left_out() -> None:
    made = redundancy(3)
    made.wrap(sound(1))
    assert repeated(made.wrap(sound(2, timestamp=960 + 16_384))) == []
    made = redundancy(3)
    made.wrap(sound(1, 1024))
    assert repeated(made.wrap(sound(2))) == []
    assert red.parse(rtp.parse(made.wrap(sound(3))).payload).redundant == (Block(97, 960, bytes([2]) * 80),)


def test_a_datagram_is_never_too_long() -> None:
    made = redundancy(3, max_datagram=300)
    packets = [made.wrap(sound(n, 110)) for n in range(1, 6)]
    assert [len(repeated(packet)) for packet in packets] == [0, 1, 1, 1, 1]
    assert max(map(len, packets)) <= 300
    full = sound(6, 288)
    assert made.wrap(full) == full, "no room even for RED's own octet"


def test_the_timestamp_wraps() -> None:
    made = redundancy(1)
    made.wrap(sound(1, timestamp=2**32 - 480))
    assert repeated(made.wrap(sound(2, timestamp=480))) == [(960, 1)]
