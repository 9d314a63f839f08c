"""Thousands of SSRCs that are none beside those that are, in virtual time."""

from __future__ import annotations

import random
import struct

from protocol.datagram import Batch
from protocol.payload import registry
from protocol.rtcp import compound
from protocol.rtcp.sr import SenderReport
from receiver.candidates import MAX_PACKETS, Candidates
from receiver.config import Latency
from receiver.media import Format
from receiver.session import ReceiverSession, SessionConfig
from receiver.sources import CROWDED, MAX_SOURCES

MS = 1_000_000
SOUND = 0xA0D10
FORMATS = {pt: Format(*row) for pt, row in registry.DEFAULT_PAYLOAD_TYPES.items()}


def _session() -> ReceiverSession:
    return ReceiverSession(SessionConfig(FORMATS, Latency(), seed=1), 0)


def _rtp(ssrc: int, sequence: int, timestamp: int, payload_type: int = 0) -> bytes:
    return struct.pack("!BBHII", 0x80, payload_type, sequence & 0xFFFF, timestamp & 0xFFFF_FFFF, ssrc) + bytes(160)


def _sound(session: ReceiverSession, number: int, now: int, path: str = "sender") -> None:
    session.handle_datagrams(Batch.of([_rtp(SOUND, number, number * 160)], now, path), now)


def _junk(session: ReceiverSession, r: random.Random, count: int, now: int, *, in_a_row: int = 1) -> None:
    datagrams = []
    for _ in range(count // in_a_row):
        ssrc, first, timestamp = r.getrandbits(32), r.getrandbits(16), r.getrandbits(32)
        datagrams += [_rtp(ssrc, first + i, timestamp) for i in range(in_a_row)]
    session.handle_datagrams(Batch.of(datagrams, now, "junk"), now)


def _arrived(session: ReceiverSession, ssrc: int = SOUND) -> int:
    return sum(s.ledger.arrived for s in session.statistics().streams if s.key.ssrc == ssrc)


def test_sound_gets_in_through_random_ssrcs() -> None:
    """40,000 a second between packets that are 20 ms apart, and each of those is counted."""
    session, r = _session(), random.Random(2)
    for number in range(50):
        _sound(session, number, number * 20 * MS)
        _junk(session, r, 800, number * 20 * MS + 1)
    session.close(1000 * MS)
    assert _arrived(session) == 50
    statistics = session.statistics()
    assert len(statistics.streams) == 1
    assert statistics.unparsed["unconfirmed"] == 50 * 800


def test_sound_gets_in_through_pairs_that_look_like_sources() -> None:
    session, r = _session(), random.Random(3)
    _junk(session, r, 2000, 0, in_a_row=2)
    assert len(session.statistics().streams) == CROWDED
    for number in range(50):
        _sound(session, number, number * 20 * MS)
        _junk(session, r, 200, number * 20 * MS + 1, in_a_row=2)
    assert _arrived(session) == 50


def test_a_sender_report_proves_a_source_at_once() -> None:
    session = _session()
    _junk(session, random.Random(4), 200, 0, in_a_row=2)
    _sound(session, 1, MS)
    assert _arrived(session) == 0
    report = compound.serialize([SenderReport(SOUND, 1 << 32, 160, 1, 160, ())])
    session.handle_datagrams(Batch.of([report], 2 * MS, "sender"), 2 * MS)
    _sound(session, 2, 20 * MS)
    assert _arrived(session) == 2


def test_what_a_sender_report_has_proved_keeps_its_place_with_one_packet() -> None:
    """The look that tidies up may fall between a stream's first packet and its second."""
    session, r = _session(), random.Random(5)
    _junk(session, r, 2000, 0, in_a_row=2)
    _sound(session, 0, 10 * MS)
    report = compound.serialize([SenderReport(SOUND, 1 << 32, 0, 1, 160)])
    session.handle_datagrams(Batch.of([report], 10 * MS, "sender"), 10 * MS)
    session.handle_timeout(250 * MS)
    _junk(session, r, 2000, 260 * MS, in_a_row=10)
    for number in range(1, 50):
        _sound(session, number, 260 * MS + number * 20 * MS)
    session.close(2000 * MS)
    assert _arrived(session) == 50


def test_the_stream_that_is_heard_stays_when_long_junk_fills_every_place() -> None:
    session, r = _session(), random.Random(5)
    for number in range(100):
        _sound(session, number, number * 20 * MS)
        _junk(session, r, 40, number * 20 * MS + 1, in_a_row=8)
    assert _arrived(session) == 100
    assert [s.key.epoch for s in session.statistics().streams if s.key.ssrc == SOUND] == [0]
    assert len(session.streams()) <= MAX_SOURCES


def test_silent_junk_makes_room_again() -> None:
    session = _session()
    _junk(session, random.Random(6), 2000, 0, in_a_row=2)
    for second in range(1, 13):
        session.handle_timeout(second * 1000 * MS)
    assert not session.streams()


def test_an_echo_from_another_address_does_not_move_the_sender() -> None:
    """RFC 3550 §8.2; only when the first address falls silent has the sender moved."""
    session = _session()
    for number in range(200):
        _sound(session, number, number * 20 * MS)
        _sound(session, number, number * 20 * MS + 1, "echo")
        session.handle_timeout(number * 20 * MS + 2)
    assert {t.path for t in session.poll().transmissions} == {"sender"}
    for number in range(250, 400):
        _sound(session, number, number * 20 * MS, "moved")
        session.handle_timeout(number * 20 * MS + 2)
    assert session.poll().transmissions[-1].path == "moved"


def test_what_waits_is_bounded() -> None:
    candidates = Candidates()
    for ssrc in range(3 * MAX_PACKETS):
        candidates.add(ssrc, bytes(100), ssrc, None)
    assert len(candidates) == MAX_PACKETS
    assert candidates.dropped == 2 * MAX_PACKETS
    for ssrc in range(1000):
        candidates.add(ssrc, bytes(65507), ssrc, None)
    assert len(candidates) < 1000
    waiting = candidates.take(999)
    assert waiting is not None
    assert waiting.arrival_times.tolist() == [999]
    assert candidates.take(999) is None
