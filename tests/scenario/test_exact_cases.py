"""The cases that tools get wrong, each by name, through whole sessions; the network's log is the truth."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace

import pytest

from protocol.datagram import Batch
from protocol.ntp import ntp_from_unix
from protocol.rtcp import compound
from protocol.rtcp.bye import Bye
from protocol.rtcp.sr import SenderReport
from receiver.account.counts import LedgerCounts
from receiver.config import Latency
from receiver.media import Format
from receiver.session import ReceiverSession, SessionConfig
from tests.scenario import told
from tests.support import pair, truth
from tests.support.clock import MILLISECOND as MS
from tests.support.clock import SECOND
from tests.support.netem import Conditions, rtp_only

PATH = Conditions(delay=20 * MS, only=rtp_only)
SSRC = 0x7E57
WALL = 1_790_000_000 * SECOND


@pytest.mark.parametrize("same_ssrc", [True, False])
def test_each_numbering_of_a_sender_that_restarts_has_an_account_of_its_own(same_ssrc: bool) -> None:
    p = pair.meet(replace(PATH, loss=0.1, duplication=0.1), streams=(pair.AUDIO,), seed=8)
    p.run(told.sound(3 * SECOND))
    p.finish()
    restarted = len(p.forward.log)
    config = pair.AUDIO if same_ssrc else replace(pair.AUDIO, ssrc=pair.AUDIO.ssrc + 1)
    p.sender = pair.make_sender(p.clock, p.sender_clock, [config], 99)
    p.run(told.sound(3 * SECOND))
    p.finish()
    streams = sorted(told.streams(p, "audio"), key=lambda s: (s.key.ssrc, s.key.epoch))
    for stream, log in zip(streams, (p.forward.log[:restarted], p.forward.log[restarted:]), strict=True):
        (real,) = truth.of_streams(log).values()
        counts = stream.ledger
        assert (counts.sent, counts.lost, counts.duplicates) == (150, real.lost, real.duplicates)
        assert stream.loss_runs == real.loss_runs
    told.assert_balanced(p)


def test_what_crosses_an_edge_is_booked_where_its_number_belongs() -> None:
    """Packet 45 is held for 400 ms, so that it comes in the next second's interval; 48 is lost, 49 comes twice."""
    held = replace(PATH, hold={45: 400 * MS}, drop=frozenset({48}), repeat=frozenset({49, 120}))
    p = pair.meet(held, streams=(pair.AUDIO,))
    p.run(told.sound(8 * SECOND))
    assert p.receiver is not None
    (stream,) = p.receiver.streams()
    early = stream.ledger.intervals()
    p.finish()
    rows = stream.ledger.intervals()
    assert rows[: len(early)] == early, "what is final stays"
    assert early
    base = rows[0].first
    at = next(row for row in rows if row.first <= base + 45 < row.end)
    assert (at.reordered, at.lost, at.duplicates) == (1, 1, 1)
    assert all(row.lost == row.reordered == 0 for row in rows if row is not at)
    counts = told.stream(p, "audio").ledger
    for name in ("sent", "arrived", "lost", "in_time", "missed", "late", "duplicates", "reordered"):
        assert sum(getattr(row, name) for row in rows) == getattr(counts, name)


# Foreign senders


class Foreign:
    """An RTP sender that says nothing but what RFC 3550 asks for: PCMU, a packet each 20 ms."""

    def __init__(self, *, first: int = 65_530, ssrc: int = SSRC, path: str = "here") -> None:
        self.first, self.ssrc, self.path = first, ssrc, path
        self.sent = 0

    def rtp(self) -> bytes:
        number, self.sent = self.first + self.sent, self.sent + 1
        return struct.pack("!BBHII", 0x80, 0, number & 0xFFFF, self.sent * 160, self.ssrc) + bytes(160)

    def report(self, now: int, count: int | None = None, *, bye: bool = False) -> bytes:
        count = self.sent if count is None else count
        sr = SenderReport(self.ssrc, ntp_from_unix(WALL + now), self.sent * 160, count & 0xFFFF_FFFF, 0)
        return compound.serialize([sr, Bye((self.ssrc,))] if bye else [sr])


def listener() -> ReceiverSession:
    return ReceiverSession(SessionConfig({0: Format("PCMU", 8000)}, Latency(), seed=1), 0)


def play(session: ReceiverSession, sender: Foreign, numbers: range, lost: frozenset[int] | range) -> int:
    """These packets, each at its moment, those in `lost` not; the moment after the last."""
    for number in numbers:
        now = SECOND + number * 20 * MS
        datagram = sender.rtp()
        if number not in lost:
            session.handle_datagrams(Batch.of([datagram], now, sender.path), now)
        session.handle_timeout(now)
    return now + MS


def say(session: ReceiverSession, sender: Foreign, data: bytes, now: int) -> None:
    session.handle_datagrams(Batch.of([data], now, sender.path), now)


def closed(session: ReceiverSession, now: int) -> LedgerCounts:
    session.close(now)
    (stream,) = session.statistics().streams
    return stream.ledger


def test_a_foreign_sender_heard_from_its_start_to_its_goodbye_is_known_whole() -> None:
    """The last 59 of 209 never come; its reports say 209."""
    session, sender = listener(), Foreign()
    now = play(session, sender, range(100), frozenset({7}))
    say(session, sender, sender.report(now), now)
    now = play(session, sender, range(100, 209), range(150, 209))
    say(session, sender, sender.report(now, bye=True), now)
    counts = closed(session, now + SECOND)
    assert (counts.sent, counts.arrived, counts.lost) == (209, 149, 60)


def test_a_foreign_sender_joined_in_the_middle_is_not() -> None:
    session, sender = listener(), Foreign()
    sender.sent = 30_000
    now = play(session, sender, range(100), frozenset({7}))
    say(session, sender, sender.report(now), now)
    counts = closed(session, now)
    assert (counts.sent, counts.span, counts.lost) == (None, 100, 1)


@pytest.mark.parametrize("lies", [(10**6,), (2**31,), (100, 10**6), (100, 2**32 - 1), (0, 0, 0)])
def test_counts_that_lie_make_no_loss(lies: tuple[int, ...]) -> None:
    session, sender = listener(), Foreign()
    for part, lie in enumerate(lies):
        now = play(session, sender, range(part * 100, part * 100 + 100), frozenset())
        say(session, sender, sender.report(now, lie), now)
    now = play(session, sender, range(len(lies) * 100, len(lies) * 100 + 100), frozenset())
    session.close(now)
    streams = session.statistics().streams
    assert sum(s.ledger.arrived for s in streams) == 100 * len(lies) + 100
    assert sum(s.ledger.lost for s in streams) == 0


def test_a_count_that_goes_backwards_is_a_restart() -> None:
    """measurement.md: a new epoch; none of its packets is lost."""
    session, sender = listener(), Foreign()
    for part, count in enumerate((100, 20)):
        now = play(session, sender, range(part * 100, part * 100 + 100), frozenset())
        say(session, sender, sender.report(now, count), now)
    now = play(session, sender, range(200, 300), frozenset())
    session.close(now)
    streams = session.statistics().streams
    assert [(s.key.epoch, s.ledger.arrived, s.ledger.lost) for s in streams] == [(0, 200, 0), (1, 100, 0)]


def both(n: int, offset: int) -> Iterator[tuple[int, Foreign, bytes]]:
    """Two senders in turn, the second from the 100th packet of the first on."""
    ours, other = Foreign(), Foreign(first=65_530 + offset, path="elsewhere")
    other.sent = 1_000_000
    other.first -= other.sent
    for number in range(n):
        now = SECOND + number * 20 * MS
        yield now, ours, ours.rtp()
        if number >= 100:
            yield now + 7 * MS, other, other.rtp()
        if number % 50 == 49:
            yield now + MS, ours, ours.report(now)
            if number >= 100:
                yield now + 8 * MS, other, other.report(now, 50)


@pytest.mark.parametrize("offset", [1000, 5000, 30_000])
def test_two_senders_with_one_ssrc_are_not_one_stream(offset: int) -> None:
    """RFC 3550 §8.2: one goes on as if it were alone, the other's packets are counted and belong to none."""
    session = listener()
    for now, sender, datagram in both(600, offset):
        session.handle_datagrams(Batch.of([datagram], now, sender.path), now)
        session.handle_timeout(now)
    session.close(now)
    statistics = session.statistics()
    (stream,) = statistics.streams
    counts = stream.ledger
    assert (counts.span, counts.arrived, counts.lost, counts.duplicates) == (600, 600, 0, 0)
    assert statistics.unparsed["unconfirmed"] == 500
