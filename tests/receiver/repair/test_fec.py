"""Lost packets rebuilt from what Protection sends; and repair packets that lie, repeat themselves or never end."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import rtp
from protocol.fec.payload import Repair
from protocol.rtp import RtpPacket
from receiver.repair.fec import MAX_WAITING, Rebuilder, Rebuilt
from receiver.repair.recent import KEPT, MAX_OCTETS, Recent
from sender.transmit.protection import Protection

MEDIA = 7
FIRST = 65_536 + 65_500


def media(number: int, size: int, *, marker: bool = False) -> bytes:
    body = random.Random(number).randbytes(size)
    extensions = {1: b"abc"} if number % 3 == 0 else {}
    packet = RtpPacket(
        96, number & 0xFFFF, number * 50 & 0xFFFF_FFFF, MEDIA, body, marker, extensions=extensions, padding=number % 5
    )
    return bytes(packet)


def sent(
    sizes: Sequence[Sequence[int]], share: float, frames: int = 2, stride: int = 1, first: int = FIRST
) -> list[tuple[int | None, bytes]]:
    """Frames of packets with their repair, in the order of sending: (extended number, or None for repair; datagram)."""
    protection = Protection(MEDIA, 8, 102, 65_520, every_packet_is_a_frame=False)
    protection.share, protection.frames, protection.stride = share, frames, stride
    out: list[tuple[int | None, bytes]] = []
    number = first
    for frame in sizes:
        packets = [(number + i, media(number + i, size, marker=i == len(frame) - 1)) for i, size in enumerate(frame)]
        number += len(frame)
        out += packets
        out += [(None, datagram) for datagram in protection.protect([datagram for _, datagram in packets])]
    return out


def observe(rebuilder: Rebuilder, packets: Iterable[tuple[int, bytes]]) -> list[Rebuilt]:
    return rebuilder.observe(list(packets))


def repaired(rebuilder: Rebuilder, datagram: bytes) -> list[Rebuilt]:
    packet = rtp.parse(datagram)
    return rebuilder.repair(packet.sequence_number, packet.payload)


def receive(rebuilder: Rebuilder, packets: Iterable[tuple[int | None, bytes]]) -> dict[int, bytes]:
    """What is rebuilt, each number once."""
    found: list[Rebuilt] = []
    for number, datagram in packets:
        found += repaired(rebuilder, datagram) if number is None else observe(rebuilder, [(number, datagram)])
    assert len({rebuilt.number for rebuilt in found}) == len(found)
    return {rebuilt.number: rebuilt.datagram for rebuilt in found}


def without(packets: Sequence[tuple[int | None, bytes]], lost: Collection[int]) -> list[tuple[int | None, bytes]]:
    return [packet for packet in packets if packet[0] not in lost]


def test_two_of_a_frame_of_eight() -> None:
    everything = sent([[700, 20, 900, 1180, 3, 44, 1000, 500]], 0.5)
    truth = dict(everything)
    rebuilder = Rebuilder(MEDIA)
    assert receive(rebuilder, without(everything, {FIRST, FIRST + 3})) == {n: truth[n] for n in (FIRST, FIRST + 3)}
    told = rebuilder.statistics()
    assert (told.received, told.rebuilt, told.unneeded, told.waiting, told.refused) == (2, 2, 0, 0, {})


def test_a_frame_is_rebuilt_by_the_repair_of_the_next() -> None:
    """Across the wrap of the sequence numbers, too."""
    everything = sent([[800] * 9] * 8, 0.12)
    truth, lost = dict(everything), {FIRST + 31, FIRST + 36}
    assert receive(Rebuilder(MEDIA), without(everything, lost)) == {number: truth[number] for number in lost}


def test_a_packet_that_was_overtaken_completes_an_equation() -> None:
    everything = sent([[500] * 4], 0.25)
    rebuilder, (one, two, three, four, repair) = Rebuilder(MEDIA), everything
    found = receive(rebuilder, [one, four, repair, two])
    assert found == {three[0]: three[1]}
    assert rebuilder.statistics().contradicted == 0


@given(
    sizes=st.lists(st.lists(st.integers(0, 300), min_size=1, max_size=12), min_size=1, max_size=8),
    share=st.floats(0.1, 1),
    frames=st.integers(1, 4),
    stride=st.integers(1, 3),
    seed=st.integers(0, 1000),
)
@settings(max_examples=80, deadline=None)
def test_what_is_rebuilt_is_what_was_sent(
    sizes: list[list[int]], share: float, frames: int, stride: int, seed: int
) -> None:
    """Whatever is lost, doubled or overtaken."""
    dice = random.Random(seed)
    everything = sent(sizes, share, frames, stride)
    truth = dict(everything)
    came = [packet for packet in everything if dice.random() > 0.2 or packet[0] == FIRST]
    came += [packet for packet in came if dice.random() < 0.1]
    rebuilder = Rebuilder(MEDIA)
    shuffled = came[:1] + [p for _, p in sorted((at + dice.random() * 4, p) for at, p in enumerate(came[1:]))]
    for number, datagram in receive(rebuilder, shuffled).items():
        assert datagram == truth[number]
    told = rebuilder.statistics()
    assert told.contradicted == 0
    assert set(told.refused) <= {"fec_copy"}


@given(losses=st.integers(0, 5), seed=st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_any_five_of_twenty_and_five(losses: int, seed: int) -> None:
    everything = [packet for packet in sent([[300] * 20], 1.0) if packet[0] is not None]
    repair = [packet for packet in sent([[300] * 20], 0.27) if packet[0] is None]
    assert len(repair) == 5
    dice = random.Random(seed)
    gone = dice.sample([*everything[1:], *repair], 5 - losses)
    came = [packet for packet in [*everything, *repair] if packet not in gone]
    rebuilt = receive(Rebuilder(MEDIA), came)
    assert rebuilt == {number: data for number, data in gone if number is not None}


# What lies


def forged(first: int, count: int, *, stride: int = 1, symbol: bytes = bytes(600), ssrc: int = MEDIA) -> bytes:
    return bytes(Repair(ssrc, first & 0xFFFF, count, stride, symbol))


def established(lost: Collection[int] = ()) -> Rebuilder:
    rebuilder = Rebuilder(MEDIA)
    observe(rebuilder, [(n, media(n, 500)) for n in range(FIRST, FIRST + 200) if n not in lost])
    return rebuilder


@pytest.mark.parametrize(
    ("reason", "payload"),
    [
        ("fec_header", b""),
        ("fec_header", forged(FIRST, 4)[:15]),
        ("fec_window", forged(FIRST, 0)),
        ("fec_window", forged(FIRST, 200)),
        ("fec_ssrc", forged(FIRST + 190, 10, ssrc=9)),
        ("fec_ahead", forged(FIRST + 300, 100)),
        ("fec_old", forged(FIRST + 199 - KEPT, 10)),
        ("fec_inconsistent", forged(FIRST + 150, 1)),
        ("fec_inconsistent", forged(FIRST + 140, 20, symbol=random.Random(1).randbytes(1400))),
        ("fec_contradiction", forged(FIRST + 140, 20, symbol=bytes(100))),
    ],
)
def test_what_is_refused(reason: str, payload: bytes) -> None:
    rebuilder = established(lost={FIRST + 150})
    assert rebuilder.repair(5, payload) == []
    told = rebuilder.statistics()
    assert (told.refused, told.waiting, told.rebuilt) == ({reason: 1}, 0, 0)


def test_nothing_is_known_of_the_media_yet() -> None:
    rebuilder = Rebuilder(MEDIA)
    assert rebuilder.repair(0, forged(0, 10)) == []
    assert rebuilder.statistics().refused == {"fec_ssrc": 1}


def test_what_was_played_is_not_wanted() -> None:
    rebuilder = established(lost={FIRST + 150})
    rebuilder.play(FIRST + 160)
    assert rebuilder.repair(0, forged(FIRST + 145, 10)) == []
    assert rebuilder.statistics().refused == {"fec_played": 1}


def test_a_played_packet_helps_but_is_not_handed_out() -> None:
    everything = sent([[300] * 10], 0.2)
    lost = {FIRST + 2, FIRST + 8}
    rebuilder = Rebuilder(MEDIA)
    rebuilder.play(FIRST + 5)
    assert [*receive(rebuilder, without(everything, lost))] == [FIRST + 8]


def test_more_equations_than_losses_must_agree() -> None:
    everything = sent([[300] * 10], 0.4)
    lost = FIRST + 4
    kept, repair = without(everything, {lost})[:9], [data for number, data in everything if number is None]
    false = rtp.parse(repair[0]).payload[:8] + bytes(400)
    rebuilder = Rebuilder(MEDIA)
    receive(rebuilder, without(kept, {FIRST + 5}))
    assert rebuilder.repair(0xFFF0, false) == []
    assert repaired(rebuilder, repair[1]) == []
    assert rebuilder.statistics().refused == {"fec_inconsistent": 2}, "two losses, two equations, one of them false"
    assert receive(rebuilder, [(None, repair[2]), (None, repair[3])]).keys() == {lost, FIRST + 5}


def test_what_comes_after_all_has_the_last_word() -> None:
    everything = sent([[300] * 4, [300] * 4], 0.25)
    rebuilder = Rebuilder(MEDIA)
    assert [*receive(rebuilder, without(everything[:5], {FIRST + 1}))] == [FIRST + 1]
    observe(rebuilder, [(FIRST + 1, media(FIRST + 1, 299))])
    assert rebuilder.statistics().contradicted == 1


def test_the_same_again_and_again() -> None:
    rebuilder = established(lost={FIRST + 150, FIRST + 151})
    for _ in range(5):
        rebuilder.repair(7, forged(FIRST + 140, 20))
    assert rebuilder.statistics().refused == {"fec_copy": 4}


def test_ten_thousand_a_second() -> None:
    """A quarter of a thousand are looked at, then no more than media packets come."""
    rebuilder = established(lost=range(FIRST + 100, FIRST + 180))
    for row in range(10_000):
        rebuilder.repair(row, forged(FIRST + 72 + row % 20, 128, symbol=bytes(1200)))
    told = rebuilder.statistics()
    assert told.received == 10_000
    assert told.refused["fec_excess"] + told.refused["fec_copy"] > 9_700
    assert told.waiting <= MAX_WAITING


@given(
    row=st.integers(0, 0xFFFF), data=st.binary(max_size=100), first=st.integers(-300, 300), count=st.integers(0, 255)
)
@settings(max_examples=200, deadline=None)
def test_any_octets(row: int, data: bytes, first: int, count: int) -> None:
    rebuilder = established(lost={FIRST + 150, FIRST + 190})
    number = (FIRST + 199 + first) & 0xFFFF
    for payload in (data, MEDIA.to_bytes(4) + number.to_bytes(2) + bytes([count, 1]) + data):
        assert rebuilder.repair(row, payload) == []
    assert rebuilder.statistics().rebuilt == 0


def test_its_memory_is_bounded() -> None:
    rebuilder, dice = Rebuilder(MEDIA), random.Random(3)
    everything = sent([[100] * 6] * 600, 0.2)
    receive(rebuilder, [packet for packet in everything if dice.random() > 0.3])
    held = {name: len(value) for name, value in vars(rebuilder).items() if hasattr(value, "__len__")}
    assert held.pop("_waiting") <= MAX_WAITING
    assert held.pop("_unknown") <= MAX_WAITING * 128
    assert held.pop("_recent") <= KEPT
    assert held.pop("_rebuilt") <= KEPT
    assert max(held.values()) <= 12


# The packets that are kept


def test_only_the_newest_are_kept() -> None:
    recent = Recent()
    recent.add((number, b"x") for number in range(5000, 5000 + 2 * KEPT))
    assert len(recent) == KEPT
    assert recent.newest == 5000 + 2 * KEPT - 1
    assert recent.floor == 5000 + KEPT
    recent.add([(5000, b"old")])
    assert 5000 not in recent
    recent.add([(10**12, b"y")])
    assert len(recent) == 1


def test_large_packets_make_room_sooner() -> None:
    recent = Recent()
    recent.add((number, bytes(60_000)) for number in range(200))
    assert len(recent) == MAX_OCTETS // 60_000
    assert 199 in recent
