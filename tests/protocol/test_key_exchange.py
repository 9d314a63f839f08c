from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import key_exchange
from protocol.datagram import Batch, Transmission
from protocol.key_exchange import KeyExchange
from protocol.rtcp import compound, key_announcement
from protocol.rtcp.app import App
from protocol.rtcp.key_announcement import KeyAnnouncement
from protocol.srtp.shared_secret import Role, SharedSecret

SECRET = SharedSecret.of(b"correct horse battery staple")
MS = 1_000_000
SECOND = 1000 * MS
WALL = 1_800_000_000 * SECOND
HERE, THERE = "the sender's path", "the receiver's path"


def packet(number: int, ssrc: int = 1) -> bytes:
    return struct.pack("!BBHII", 0x80, 96, number, 0, ssrc) + b"media"


def report(ssrc: int = 9) -> bytes:
    return struct.pack("!BBHI", 0x80, 201, 1, ssrc)


def end(role: Role, *, secret: SharedSecret = SECRET, clock: int = 0) -> KeyExchange:
    """At monotonic 0; `clock`: ns by which its wall clock is ahead."""
    return KeyExchange(secret, role, now=0, wall=WALL + clock)


def sent(of: KeyExchange, datagrams: list[bytes], now: int, path: str = HERE) -> list[bytes]:
    """Everything that leaves."""
    sealed = of.seal(Transmission(datagrams, path), now)
    assert {transmission.path for transmission in sealed} <= {path}
    return [datagram for transmission in sealed for datagram in transmission.datagrams]


def got(of: KeyExchange, datagrams: list[bytes], now: int, path: str = THERE) -> list[bytes]:
    batch = of.open(Batch.of(datagrams, now, path), now)
    return [batch.datagram(index) for index in range(len(batch))]


def test_both_ways_from_the_first_packet_on() -> None:
    sender, receiver = end("sender"), end("receiver")
    first = sent(sender, [packet(1), packet(2)], MS)
    assert len(first) == 3
    assert key_announcement.is_announcement(first[0])
    assert got(receiver, first, 2 * MS) == [packet(1), packet(2)]
    assert got(sender, sent(receiver, [report()], 3 * MS, THERE), 4 * MS, HERE) == [report()]
    assert not sender.take_refused()
    assert not receiver.take_refused()
    assert not receiver.take_answers()


def test_what_leaves_cannot_be_read() -> None:
    announcement, protected = sent(end("sender"), [packet(1)], MS)
    assert b"media" not in protected
    assert protected[:12] == packet(1)[:12]
    assert not {SECRET.secret[at : at + 8] for at in range(24)} & {announcement[at : at + 8] for at in range(72)}


def test_the_announcement_is_rtcp_that_others_pass_over() -> None:
    (told,) = compound.parse(sent(end("sender"), [packet(1)], MS)[0])
    assert isinstance(told, App)
    assert (told.ssrc, told.name, told.subtype, len(told.data)) == (0, b"SCST", 5, 60)


def test_how_often_it_is_said() -> None:
    """Soon again, since the first may be lost; then twice a second. Along each path of its own."""
    sender = end("sender")
    times = [ms for ms in range(0, 4000, 10) if len(sent(sender, [packet(ms // 10)], ms * MS)) == 2]
    assert times == [0, 20, 70, 170, 370, 770, 1270, 1770, 2270, 2770, 3270, 3770]
    assert len(sent(sender, [packet(9999)], 4 * SECOND, "another path")) == 2


def test_joining_late() -> None:
    sender, receiver = end("sender"), end("receiver")
    for ms in range(0, 60_000, 100):
        leaving = sent(sender, [packet(ms // 100)], ms * MS)
        if ms >= 55_000 and got(receiver, leaving, ms * MS):
            break
    assert ms <= 55_500
    assert set(receiver.take_refused().reasons) <= {"srtp_no_key"}


@pytest.mark.parametrize("clock", [-SECOND * 3600, -11 * SECOND, 11 * SECOND, SECOND * 3600 * 24 * 400])
def test_a_clock_that_is_wrong(clock: int) -> None:
    """The receiver asks, the sender answers: a round trip later it goes on."""
    sender, receiver = end("sender"), end("receiver", clock=clock)
    assert got(receiver, sent(sender, [packet(1)], MS), 2 * MS) == []
    (question,) = receiver.take_answers()
    assert question.path == THERE
    assert got(sender, list(question.datagrams), 30 * MS, HERE) == []
    assert got(receiver, sent(sender, [packet(2)], 31 * MS), 32 * MS) == [packet(2)]
    assert got(sender, sent(receiver, [report()], 33 * MS, THERE), 34 * MS, HERE) == [report()]
    assert not receiver.take_answers()


def test_an_old_run_does_not_come_back() -> None:
    """Whoever kept what was sent plays it to a later run, whose clock goes on."""
    sender, receiver = end("sender"), end("receiver")
    kept = [sent(sender, [packet(n)], n * 100 * MS) for n in range(20)]
    for leaving in kept:
        assert got(receiver, leaving, 2 * SECOND)
    again = end("receiver")
    late = 2 * SECOND + key_exchange.CLOCKS
    for leaving in kept:
        assert got(again, leaving, late) == []
    questions = again.take_answers()
    assert len(questions) == 1, "ten a second at most, each as long as what it answers"
    assert len(questions[0].datagrams[0]) == len(kept[0][0])
    # The same run knows each packet.
    for leaving in kept:
        assert got(receiver, leaving, late) == []


def test_receivers_of_an_old_run_do_not_come_back() -> None:
    sender, receiver = end("sender"), end("receiver")
    got(receiver, sent(sender, [packet(1)], MS), 2 * MS)
    kept = sent(receiver, [report()], 3 * MS, THERE)
    assert got(sender, kept, 4 * MS) == [report()]
    assert got(end("sender"), kept, 5 * MS) == []


def test_reflection() -> None:
    """What a sender says is nothing to a sender."""
    sender = end("sender")
    assert got(sender, sent(sender, [packet(1)], MS), 2 * MS) == []
    assert sender.take_refused().reasons == {"key_announcement": 1, "srtp_no_key": 1}


def test_another_secret() -> None:
    receiver = end("receiver", secret=SharedSecret.of(b"correct horse battery stable"))
    assert got(receiver, sent(end("sender"), [packet(1), packet(2)], MS), 2 * MS) == []
    assert receiver.take_refused().reasons == {"key_announcement": 1, "srtp_no_key": 2}
    assert not receiver.take_answers()


def test_several_senders_and_several_receivers() -> None:
    """As in a group: everybody hears every sender, every sender hears everybody."""
    senders, receivers = [end("sender") for _ in range(3)], [end("receiver", clock=SECOND * 60 * n) for n in range(3)]
    opened = [[0] * 3 for _ in range(3)]
    reports = [0] * 3
    for turn in range(20):
        now = turn * 30 * MS
        leaving = [sent(sender, [packet(turn, ssrc=at)], now) for at, sender in enumerate(senders)]
        for number, receiver in enumerate(receivers):
            for at, datagrams in enumerate(leaving):
                opened[number][at] += len(got(receiver, datagrams, now, f"from {at}"))
            back = [datagram for answer in receiver.take_answers() for datagram in answer.datagrams]
            for at, sender in enumerate(senders):
                answers = back + sent(receiver, [report(100 + number)], now, f"from {at}")
                reports[at] += len(got(sender, answers, now, f"back {number}"))
    assert opened[0] == [20, 20, 20]
    assert all(count >= 14 for counts in opened[1:] for count in counts)
    assert all(count >= 45 for count in reports)


def test_somewhere_else_in_the_middle() -> None:
    sender, receiver = end("sender"), end("receiver")
    got(receiver, sent(sender, [packet(1)], MS), 2 * MS)
    moved = sender.seal(Transmission([packet(2)], HERE), 3 * MS)
    assert got(receiver, list(moved[-1].datagrams), 4 * MS, "another address") == [packet(2)]


@given(st.lists(st.binary(max_size=120), max_size=4), st.integers(0, 575))
def test_junk_raises_nothing(junk: list[bytes], bit: int) -> None:
    sender, receiver = end("sender"), end("receiver")
    announcement = bytearray(sent(sender, [packet(1)], MS)[0])
    announcement[bit // 8] ^= 1 << bit % 8
    assert got(receiver, [*junk, bytes(announcement)], MS) == []
    assert receiver.take_refused().total() == len(junk) + 1
    assert not receiver.take_answers()


def test_the_layout_of_docs_wire() -> None:
    told = KeyAnnouncement(bytes(range(16)), 0xEEAE6377_05E353F7, bytes(range(16, 32)), wants_echo=True)
    data = told.pack(SECRET, "receiver")
    assert data[:56].hex(" ", 4) == (
        "85cc0011 00000000 53435354 80000000 00010203 04050607 08090a0b 0c0d0e0f eeae6377 05e353f7 10111213 14151617 "
        "18191a1b 1c1d1e1f"
    )
    assert len(data) == 72
    assert key_announcement.unpack(data, SECRET, "receiver") == told
    assert key_announcement.unpack(data, SECRET, "sender") is None
