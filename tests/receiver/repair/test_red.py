"""RED taken apart: which numbers the repeated payloads have, and when they are not believed."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import rtp
from protocol.red import Block, Red
from protocol.rtp import RtpPacket
from receiver.repair.red import Copy, Unpacker
from sender.transmit.redundancy import Redundancy

FIRST, TICKS = 65_530, 960


def unpacker() -> Unpacker:
    return Unpacker(lambda _: TICKS)


def red(*blocks: tuple[int, bytes]) -> bytes:
    return bytes(Red(97, b"primary", tuple(Block(97, offset, payload) for offset, payload in blocks)))


def test_the_packet_before_was_lost() -> None:
    made = unpacker()
    made.observe(10, 9600)
    carried, copies = made.unpack(12, 12 * TICKS, red((1920, b"ten"), (960, b"eleven")))
    assert carried is not None
    assert carried.payload == b"primary"
    assert copies == [Copy(11, 11 * TICKS, 97, b"eleven")]
    assert made.unpack(13, 13 * TICKS, red((1920, b"eleven"), (960, b"twelve")))[1] == []
    told = made.statistics()
    assert (told.copies, told.unneeded, told.refused) == (1, 3, {})


@given(depth=st.integers(1, 3), loss=st.floats(0, 0.8), seed=st.integers(0, 1000), silence=st.integers(0, 20))
@settings(max_examples=80, deadline=None)
def test_what_one_of_the_next_packets_carried_comes_back(depth: int, loss: float, seed: int, silence: int) -> None:
    """Out of order, too; a pause in the middle changes timestamps and not numbers."""
    dice, wrapping, made = random.Random(seed), Redundancy(101, 1200), unpacker()
    wrapping.depth = depth
    payloads, sent = {}, []
    for n in range(FIRST, FIRST + 60):
        begins = n in (FIRST, FIRST + 30)
        timestamp = n * TICKS + (silence * TICKS if n >= FIRST + 30 else 0)
        payloads[n] = (timestamp, bytes([n & 0xFF]) * 10)
        plain = RtpPacket(97, n & 0xFFFF, timestamp & 0xFFFF_FFFF, 5, payloads[n][1], begins)
        sent.append((n, timestamp, wrapping.wrap(bytes(plain))))
    came = [packet for packet in sent if dice.random() >= loss]
    came = [packet for _, packet in sorted((at + dice.random() * 3, packet) for at, packet in enumerate(came))]
    found: dict[int, tuple[int, bytes]] = {}
    for n, timestamp, datagram in came:
        _, copies = made.unpack(n, timestamp, rtp.parse(datagram).payload)
        for copy in copies:
            assert copy.number not in found
            found[copy.number] = copy.timestamp, copy.payload
    assert all(payloads[number] == value for number, value in found.items())
    here = {n for n, _, _ in came}
    spurt = {n: n >= FIRST + 30 for n in payloads}
    carried = {n - back for n in here for back in range(1, depth + 1) if spurt.get(n - back) == spurt[n]}
    assert carried - here <= found.keys() | here
    assert made.statistics().refused == {}


def test_a_timestamp_that_no_number_has() -> None:
    made = unpacker()
    for n in (1, 2, 3, 8):
        made.observe(n, n * TICKS + (4800 if n == 8 else 0))
    for offset in (0, 100, 961, 11 * TICKS):  # no multiple; the last would be number -2, younger than number 1
        assert made.unpack(9, 9 * TICKS + 4800, red((offset, b"x")))[1] == []
    made.observe(5, 4 * TICKS + 1)
    assert made.unpack(9, 9 * TICKS + 4800, red((4 * TICKS, b"x")))[1] == []
    assert made.statistics().refused["red_offset"] == 5


def test_durations_that_cannot_be_told() -> None:
    made = Unpacker(lambda payload: None if payload == b"?" else 0)
    assert made.unpack(9, 9 * TICKS, red((960, b"?"), (960, b"!"), (960, b"")))[1] == []
    assert made.statistics().refused == {"red_offset": 2}


def test_what_cannot_be_read() -> None:
    made = unpacker()
    assert made.unpack(9, 9 * TICKS, red((960, b"x" * 50))[:20]) == (None, [])
    assert made.statistics().refused == {"red_length": 1}


@given(packets=st.lists(st.tuples(st.integers(0, 600), st.binary(max_size=40)), max_size=40))
@settings(max_examples=100, deadline=None)
def test_any_octets(packets: list[tuple[int, bytes]]) -> None:
    made = unpacker()
    handed_out: list[int] = []
    for number, payload in packets:
        handed_out += [copy.number for copy in made.unpack(number, number * TICKS, payload)[1]]
    newest = max((number for number, _ in packets), default=0)
    assert all(number < newest for number in handed_out)


def test_its_memory_is_bounded() -> None:
    made = unpacker()
    for number in range(5000):
        made.unpack(number, number * TICKS, red((960, b"x")))
    assert len(made._numbers) == len(made._timestamps) == 256
