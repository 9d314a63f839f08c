"""RED with ULPFEC (RFC 5109) in it, as GStreamer sends it, made here field by field: what is counted and played."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import xor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.datagram import Batch
from protocol.rtp import RtpPacket
from receiver.config import Latency
from receiver.events import KeyFrameRequested
from receiver.media import AccessUnit, Format
from receiver.session import ReceiverSession, SessionConfig
from receiver.statistics import StreamStatistics
from tests.support.clock import MILLISECOND, SECOND

MEDIA, RED, FEC, SSRC = 96, 121, 122, 7
FIRST = 65_536 - 40
PARTS = 3
PERIOD = SECOND // 30
H264 = {"packetization-mode": "1", "sprop-parameter-sets": "Z0LAHtkA2D3n,aMuMsg=="}
FORMATS = {MEDIA: Format("H264", 90_000, 1, H264), 97: Format("opus", 48_000, 2)}


def nal(picture: int, part: int) -> bytes:
    """A slice; only of the first part the first macroblock is 0."""
    body = random.Random(picture * PARTS + part).randbytes(20 + part)
    return bytes([0x65 if picture % 10 == 0 else 0x41, 0x88 if part == 0 else 0x44]) + body


def packet(payload_type: int, number: int, picture: int, payload: bytes, *, marker: bool = False) -> bytes:
    return bytes(RtpPacket(payload_type, number & 0xFFFF, picture * 3000, SSRC, payload, marker))


def fec(packets: Sequence[bytes]) -> bytes:
    """Field by field from RFC 5109 §8.1, level 0, of packets with consecutive numbers."""
    size = max(len(datagram) for datagram in packets) - 12
    body = bytes(reduce(xor, octets) for octets in zip(*(d[12:].ljust(size, b"\0") for d in packets), strict=True))
    fixed = [bytes([d[0] & 0x3F, d[1]]) + packets[0][2:4] + d[4:8] + (len(d) - 12).to_bytes(2) for d in packets]
    head = bytearray(reduce(xor, octets) for octets in zip(*fixed, strict=True))
    head[2:4] = packets[0][2:4]
    mask = sum(0x8000 >> at for at in range(len(packets)))
    return bytes(head) + size.to_bytes(2) + mask.to_bytes(2) + body


def in_red(datagram: bytes) -> bytes:
    """One block without a timestamp offset (RFC 2198 §3)."""
    second = datagram[1] & 0x80 | RED
    return datagram[:1] + bytes([second]) + datagram[2:12] + bytes([datagram[1] & 0x7F]) + datagram[12:]


def stream(pictures: int, *, wrap: bool = True) -> list[list[bytes]]:
    """The datagrams of each picture: its packets, and one of repair over them."""
    number, sent = FIRST, []
    for picture in range(pictures):
        parts = [
            packet(MEDIA, number + part, picture, nal(picture, part), marker=part == PARTS - 1) for part in range(PARTS)
        ]
        parts.append(packet(FEC, number + PARTS, picture, fec(parts)))
        number += PARTS + 1
        sent.append([in_red(datagram) for datagram in parts] if wrap else parts)
    return sent


@dataclass
class Run:
    """A session, and what came out of it."""

    session: ReceiverSession
    units: list[AccessUnit] = field(default_factory=list)
    requested: list[str] = field(default_factory=list)
    now: int = 0

    def hear(self, datagrams: Sequence[bytes]) -> None:
        if datagrams:
            self.session.handle_datagrams(Batch.of(datagrams, self.now, "there"), self.now)
        self.take()

    def wait(self, time: int) -> None:
        until = self.now + time
        while self.now < until:
            self.now = min(until, max(self.session.next_timeout(), self.now + 1))
            self.session.handle_timeout(self.now)
            self.take()

    def take(self) -> None:
        output = self.session.poll()
        self.units += output.units
        self.requested += [event.why for event in output.events if isinstance(event, KeyFrameRequested)]

    def end(self) -> StreamStatistics:
        self.wait(SECOND // 2)
        self.session.close(self.now)
        self.take()
        (told,) = self.session.statistics().streams
        return told


def play(
    sent: Iterable[Sequence[bytes]], lost: Iterable[tuple[int, int]] = (), *, one_by_one: bool = False, **asked: bool
) -> tuple[Run, StreamStatistics]:
    """All pictures, a period apart, without the datagrams `lost`: (picture, place)."""
    gone = {*lost}
    config = SessionConfig(FORMATS, Latency(fixed=100 * MILLISECOND), wrapped=(RED,), ulpfec=(FEC,), seed=1, **asked)
    run = Run(ReceiverSession(config, 0))
    for at, picture in enumerate(sent):
        there = [datagram for place, datagram in enumerate(picture) if (at, place) not in gone]
        for datagrams in [[each] for each in there] if one_by_one else [there]:
            run.hear(datagrams)
        run.wait(PERIOD)
    return run, run.end()


def pictures(run: Run) -> list[tuple[int, int]]:
    """(picture, missing packets) of each unit."""
    return [(unit.timestamp // 3000 % (1 << 20), unit.missing) for unit in run.units]


def data(picture: int) -> bytes:
    return b"".join(b"\0\0\0\1" + nal(picture, part) for part in range(PARTS))


@pytest.mark.parametrize("one_by_one", [False, True])
@pytest.mark.parametrize("wrap", [False, True])
def test_all_comes(wrap: bool, one_by_one: bool) -> None:
    run, told = play(stream(40, wrap=wrap), one_by_one=one_by_one)
    assert [unit.data for unit in run.units] == [data(picture) for picture in range(40)]
    assert (told.ledger.arrived, told.ledger.lost, told.ledger.missed) == (40 * (PARTS + 1), 0, 0)
    assert (told.payload_type, told.unusable) == (MEDIA, {})


@pytest.mark.parametrize("one_by_one", [False, True])
@pytest.mark.parametrize("wrap", [False, True])
def test_one_of_each_picture_is_rebuilt(wrap: bool, one_by_one: bool) -> None:
    lost = [(picture, picture % PARTS) for picture in range(1, 39)]
    run, told = play(stream(40, wrap=wrap), lost, one_by_one=one_by_one)
    assert [unit.data for unit in run.units] == [data(picture) for picture in range(40)]
    assert all(unit.missing == 0 for unit in run.units)
    assert (told.ledger.lost, told.ledger.recovered_fec, told.ledger.missed) == (38, 38, 0)


@pytest.mark.parametrize("one_by_one", [False, True])
def test_repair_that_overtakes_its_picture(one_by_one: bool) -> None:
    sent = [
        [picture[0], picture[3], picture[2], picture[1]] if at else picture for at, picture in enumerate(stream(40))
    ]
    run, told = play(sent, [(20, 2), (30, 3)], one_by_one=one_by_one)
    assert [unit.data for unit in run.units] == [data(picture) for picture in range(40)]
    assert told.ledger.arrived == 40 * (PARTS + 1) - 2
    assert (told.ledger.lost, told.ledger.missed) == (2, 0)
    assert told.ledger.recovered_fec >= 2, "what was rebuilt and came later counts, too"


def test_nothing_is_rebuilt_where_no_repair_is_wanted() -> None:
    run, told = play(stream(40), [(20, 1)], rebuild=False)
    assert (told.ledger.lost, told.ledger.recovered_fec, told.ledger.missed) == (1, 0, 1)
    assert [missing for _, missing in pictures(run)].count(0) == 39


def test_two_of_a_picture_stay_missing() -> None:
    run, told = play(stream(40), [(20, 0), (20, 1)])
    assert (told.ledger.lost, told.ledger.recovered_fec, told.ledger.missed) == (2, 0, 2)
    assert sum(missing for _, missing in pictures(run)) == 2


def test_a_lost_repair_packet_is_a_loss_but_no_picture() -> None:
    run, told = play(stream(40), [(picture, PARTS) for picture in range(20, 30)])
    assert [unit.data for unit in run.units] == [data(picture) for picture in range(40)]
    assert all(unit.missing == 0 for unit in run.units)
    assert run.requested == []
    assert (told.ledger.lost, told.ledger.recovered_fec) == (10, 0)


@pytest.mark.parametrize("lost", [[(20, place) for place in range(4)], [(20, 3), (21, 0), (21, 3)]])
def test_a_lost_picture_is_not_taken_for_repair(lost: list[tuple[int, int]]) -> None:
    run, told = play(stream(40), lost)
    assert any(missing for _, missing in pictures(run))
    assert told.ledger.missed == len(lost)
    assert run.requested


def spoilt(datagram: bytes, how: int) -> bytes:
    """The repair packet of a picture, contradicting its media."""
    return datagram[: 13 + how] + bytes([datagram[13 + how] ^ 0x5A]) + datagram[14 + how :]


@pytest.mark.parametrize("how", [0, 1, 4, 8, 10, 12])
def test_repair_that_contradicts_the_media_is_not_played(how: int) -> None:
    """P, X and CC; marker and payload type; the timestamp, far away; the lengths; the mask."""
    sent = stream(40)
    sent[20][PARTS] = spoilt(sent[20][PARTS], how)
    run, told = play(sent, [(20, 1)])
    assert [unit.data for unit in run.units if unit.timestamp // 3000 % (1 << 20) != 20 and unit.data]
    assert told.ledger.recovered_fec == 0
    assert sum(run.session.statistics().unmatched_repair.values()) == 1


@given(st.lists(st.tuples(st.integers(0, 5), st.binary(max_size=80)), max_size=30))
@settings(max_examples=40, deadline=None)
def test_nothing_in_red_raises(junk: list[tuple[int, bytes]]) -> None:
    """Any octets as RED, as ULPFEC in RED, and as ULPFEC near the media."""
    sent = stream(12)
    for at, (how, payload) in enumerate(junk):
        number = FIRST + at % 48
        near = payload[:2] + (number & 0xFFFF).to_bytes(2) + payload[4:]
        block = (payload, bytes([FEC]) + payload, bytes([FEC]) + near, b"\x80" + payload, b"", bytes([RED]) + payload)
        sent[at % 12].append(packet(RED, number, at % 12, block[how]))
    run, told = play(sent, [(3, 0), (5, 1)])
    assert told.ledger.arrived + told.ledger.lost >= 12 * (PARTS + 1) - 2
    run.session.statistics()
