"""Streams that only measure come to the same whether their packets are booked at once or gathered first."""

from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np
import pytest

from protocol.datagram import Batch
from protocol.payload import registry
from protocol.rtcp import compound
from protocol.rtcp.bye import Bye
from protocol.rtcp.range import SenderRange
from protocol.rtcp.sr import SenderReport
from receiver.config import Latency
from receiver.gathering import WORTH, GatheringSession
from receiver.jitter.together import together
from receiver.media import Format
from receiver.session import ReceiverSession, SessionConfig
from receiver.statistics import SessionStatistics

MS = 1_000_000
BEGAN = 1_000 * MS
LOAD, SOUND = 127, 0
FORMATS = {pt: Format(*row) for pt, row in registry.DEFAULT_PAYLOAD_TYPES.items()}
FRAME = 5
"""packets, 2 ms apart."""


def rtp(ssrc: int, number: int, payload_type: int = LOAD) -> bytes:
    last, clock = number % FRAME == FRAME - 1, 90
    head = struct.pack(
        "!BBHII", 0x80, last << 7 | payload_type, (65_500 + number) & 0xFFFF, number // FRAME * FRAME * 2 * clock, ssrc
    )
    return head + bytes([0x80 if number % FRAME == 0 else 0]) + bytes(ssrc % 50)


def report(ssrc: int, count: int, now: int) -> bytes:
    """What the sender has sent so far, by its own count and range."""
    ntp = (now << 32) // 1_000_000_000 + (1 << 40)
    sent = SenderRange(ssrc, 65_500, 65_500 + count - 1, count, (BEGAN << 32) // 1_000_000_000 + (1 << 40), final=False)
    return compound.serialize([SenderReport(ssrc, ntp, count * 180, count, count * 10), sent.to_app()])


def traffic(streams: int, seconds: float, loss: float, disorder: float) -> list[Batch]:
    """Every millisecond a batch of what came: half of the streams' packets, copies, and reports now and then."""
    r = np.random.default_rng(5)
    due: dict[int, list[bytes]] = {}
    total = int(seconds * 500)
    for ssrc in range(1, streams + 1):
        for number in range(total):
            if r.random() < loss:
                continue
            at = number * 2 + ssrc % 2
            due.setdefault(at + int(r.integers(1, 25)) * (r.random() < disorder), []).append(rtp(ssrc, number))
            if r.random() < disorder / 2:
                due.setdefault(at + 3, []).append(rtp(ssrc, number))
        for at in range(100 + ssrc * 7, total * 2, 400):
            due.setdefault(at, []).append(report(ssrc, at // 2, BEGAN + at * MS))
        due.setdefault(total * 2 + 30, []).append(
            compound.serialize([SenderReport(ssrc, 1 << 50, 0, total, 0), Bye((ssrc,))])
        )
    return [Batch.of(due[at], BEGAN + at * MS, "sender") for at in sorted(due)]


def told(kind: type[ReceiverSession], batches: list[Batch], look: int = 0) -> tuple[SessionStatistics, list[str]]:
    """The statistics at the end, and what happened; `look`: batches from one look at the statistics to the next."""
    session = kind(SessionConfig(FORMATS, Latency(fixed=20 * MS), seed=3), BEGAN)
    events: list[str] = []
    now = BEGAN
    for index, batch in enumerate(batches):
        while session.next_timeout() < (now := batch.arrival_times.item(0)):
            session.handle_timeout(session.next_timeout())
        session.handle_datagrams(batch, now)
        if look and index % look == 0:
            session.statistics()
        events += [str(event) for event in session.poll().events]
    for tick in range(80):
        session.handle_timeout(now + tick * 100 * MS)
    events += [str(event) for event in session.poll().events]
    session.close(now + 8000 * MS)
    return session.statistics(), events


def test_gathered_or_not_is_the_same() -> None:
    batches = traffic(WORTH + 4, 1.5, 0.02, 0.03)
    (plain, plainly), (gathered, gatheredly) = told(ReceiverSession, batches), told(GatheringSession, batches, 333)
    assert plain.datagrams == gathered.datagrams
    assert sorted(plainly) == sorted(gatheredly)
    assert len(plain.streams) == len(gathered.streams) == WORTH + 4
    for a in plain.streams:
        b = next(stream for stream in gathered.streams if stream.key == a.key)
        assert a.ledger == b.ledger
        assert a.ledger.lost > 0
        for name in ("packets", "octets", "loss_runs", "late_runs", "reordering_extent", "reordering_late", "emitted",
                     "rtcp_packets", "bursts", "loss_sample"):  # fmt: skip
            assert getattr(a, name) == getattr(b, name), name


def test_drops_of_the_kernel_keep_their_place() -> None:
    """Between two batches, so that what the network lost a little later is told apart."""
    batches = traffic(WORTH + 4, 1.5, 0, 0)
    dropped = lost = 0
    for at in range(300, 1400, 100):
        if all(length < 90 for length in batches[at].lengths.tolist()):  # no reports
            dropped += len(batches[at])
            batches[at + 1] = replace(batches[at + 1], kernel_drops=len(batches[at]))
            batches[at] = Batch.of([], 0)
        if all(length < 90 for length in batches[at + 6].lengths.tolist()):
            lost += len(batches[at + 6])
            batches[at + 6] = Batch.of([], 0)
    batches = [batch for batch in batches if len(batch)]
    for kind in (ReceiverSession, GatheringSession):
        ledgers = [stream.ledger for stream in told(kind, batches)[0].streams]
        assert sum(ledger.lost_local for ledger in ledgers) == dropped > 50
        assert sum(ledger.lost_network for ledger in ledgers) == lost > 50
        assert all(ledger.lost_local_exact for ledger in ledgers)


def test_what_is_gathered_is_bounded_and_counted_whenever_somebody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("receiver.gathering.ROOM", 500)
    session = GatheringSession(SessionConfig(FORMATS, Latency(), seed=3), BEGAN)
    for number in range(300):
        now = BEGAN + number * 2 * MS
        session.handle_datagrams(Batch.of([rtp(ssrc, number) for ssrc in range(1, 41)], now, "sender"), now)
        if now >= session.next_timeout():
            session.handle_timeout(now)
        if number in (150, 151, 299):
            assert {s.ledger.arrived for s in session.statistics().streams} == {number + 1}


def test_what_else_comes_is_heard_at_once() -> None:
    """Sound beside load, junk, and another address."""
    session = GatheringSession(SessionConfig(FORMATS, Latency(fixed=20 * MS), seed=3), BEGAN)
    for number in range(400):
        now = BEGAN + number * 2 * MS
        load = [rtp(ssrc, number) for ssrc in range(1, 31)]
        session.handle_datagrams(Batch.of([*load, rtp(500, number, SOUND), b"junk"], now, "sender"), now)
        session.handle_datagrams(Batch.of(load, now, "an echo"), now)
        if now >= session.next_timeout():
            session.handle_timeout(now)
    statistics = session.statistics()
    assert statistics.unparsed == {"rtp_header": 400}
    assert {s.ledger.arrived for s in statistics.streams} == {400}
    assert {s.ledger.duplicates for s in statistics.streams if s.key.ssrc < 500} == {400}
    assert len(statistics.streams) == 31


def test_packets_in_order_go_together() -> None:
    numbers, times = np.array([7, 8, 9, 11, 12]), np.array([1, 2, 3, 4, 5])
    assert together(numbers, times, 6, None) == 3
    assert together(numbers, times, 3, None) == 1
    assert together(numbers, times, 5, 4) == 4
    assert together(numbers, times, 9, 4) == 1
    assert together(numbers[:3], times[:3], 6, None) == 3
