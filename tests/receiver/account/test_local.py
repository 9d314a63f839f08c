"""What this machine's kernel dropped, told apart from what the network lost: in numbers, and with a real socket."""

from __future__ import annotations

import random
import socket
import struct
import time
from dataclasses import dataclass, field

import numpy as np
import pytest

from protocol.rtcp.range import SenderRange
from receiver import sockets
from receiver.account.ledger import Ledger
from receiver.account.local import LocalDrop
from receiver.config import Latency, Listen
from receiver.media import Format
from receiver.session import ReceiverSession, SessionConfig
from receiver.sockets import LINUX
from receiver.transport import Transport, open_transport

START = 65_530 + 65_536
SSRCS = (0xA, 0xB)
UDP_SEGMENT = 103


def received(ledger: Ledger, *numbers: int) -> None:
    ledger.arrive(np.array(numbers) + START, np.zeros(len(numbers), np.int64))


def local(ledger: Ledger, last: int) -> tuple[int, int]:
    """(dropped here, lost in the network) at the end."""
    ledger.set_range(START, START + last, last + 1, final=True, heard_from_start=True)
    ledger.finish()
    counts = ledger.counts()
    return counts.lost_local, counts.lost_network


def test_drops_lie_between_two_datagrams() -> None:
    """2 and 3 were lost before the drop; 6 to 9 are missing after it, of which three were dropped."""
    ledger = Ledger()
    received(ledger, 0, 1, 4, 5)
    ledger.drop_locally(LocalDrop(3, exact=True))
    received(ledger, 10, 13)
    assert local(ledger, 13) == (3, 5)


def test_drops_are_shared_by_the_streams_of_a_queue() -> None:
    """Seven dropped: three the first stream misses, three the second, and one was nobody's."""
    first, second, third = Ledger(), Ledger(), Ledger()
    for ledger in (first, second, third):
        received(ledger, 0, 1)
    drop = LocalDrop(7, exact=True)
    for ledger in (first, second, third):
        ledger.drop_locally(drop)
    received(first, 5)
    received(third, 2)
    received(second, 5)
    assert [local(first, 5), local(second, 5), local(third, 2)] == [(3, 0), (3, 0), (0, 0)]
    assert drop.left == 1


def test_streams_never_miss_more_than_was_dropped() -> None:
    first, second = Ledger(), Ledger()
    drop = LocalDrop(3, exact=True)
    for ledger in (first, second):
        received(ledger, 0)
        ledger.drop_locally(drop)
        received(ledger, 3)
    assert [local(first, 3), local(second, 3)] == [(2, 0), (1, 1)]
    assert not first.counts().lost_local_exact
    assert not second.counts().lost_local_exact


def test_a_number_that_was_only_overtaken_was_not_dropped() -> None:
    ledger = Ledger()
    received(ledger, 0)
    ledger.drop_locally(LocalDrop(1, exact=True))
    received(ledger, 2, 3)
    assert ledger.counts().lost_local == 1
    received(ledger, 1)
    assert local(ledger, 3) == (0, 0)


def test_two_steps_in_one_gap_and_a_tail() -> None:
    ledger = Ledger()
    received(ledger, 0)
    ledger.drop_locally(LocalDrop(2, exact=True))
    ledger.drop_locally(LocalDrop(1, exact=True))
    received(ledger, 5)
    ledger.drop_locally(LocalDrop(4, exact=True))
    assert local(ledger, 11) == (7, 3)


def test_a_tail_that_closes_before_the_end() -> None:
    ledger = Ledger()
    second = 1_000_000_000
    received(ledger, 0, 1)
    ledger.drop_locally(LocalDrop(4, exact=False))
    ledger.set_range(START, START + 5, 6, final=False, heard_from_start=True)
    ledger.close(0, second)
    ledger.close(2 * second, second)
    assert ledger.counts().closed == 6
    assert local(ledger, 5) == (4, 0)
    assert not ledger.counts().lost_local_exact


@dataclass
class Senders:
    """Two RTP streams through a lossy place; what it swallows is the network's loss, what arrives the reader counts."""

    to: tuple[str, int]
    loss: float
    streams: int = 1
    sock: socket.socket = field(default_factory=lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    random: random.Random = field(default_factory=lambda: random.Random(5))
    sent: dict[int, int] = field(default_factory=lambda: dict.fromkeys(SSRCS, 0))
    lost: dict[int, int] = field(default_factory=lambda: dict.fromkeys(SSRCS, 0))

    def __enter__(self) -> Senders:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def packet(self, ssrc: int) -> bytes:
        number = self.sent[ssrc]
        self.sent[ssrc] += 1
        header = struct.pack("!BBHII", 0x80, 96, (65_500 + number) & 0xFFFF, number * 90, ssrc)
        return header + bytes(500)

    def burst(self, count: int, *, whole: bool = False) -> None:
        """Packets of one stream and the other in turn."""
        for i in range(count):
            ssrc = SSRCS[i % self.streams]
            packet = self.packet(ssrc)
            if not whole and self.random.random() < self.loss:
                self.lost[ssrc] += 1
            else:
                self.sock.sendto(packet, self.to)

    def aggregates(self, count: int, size: int = 8) -> None:
        """Of one stream, so many packets at once; or all of them are lost."""
        for _ in range(count):
            packets = b"".join(self.packet(SSRCS[0]) for _ in range(size))
            if self.random.random() < self.loss:
                self.lost[SSRCS[0]] += size
            else:
                segments = [(socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("=H", len(packets) // size))]
                self.sock.sendmsg([packets], segments, 0, self.to)

    def say_range(self, *, final: bool) -> None:
        for ssrc in SSRCS:
            if n := self.sent[ssrc]:
                app = SenderRange(ssrc, 65_500, 65_499 + n, n, 0, final).to_app()
                empty_report = struct.pack("!BBHI", 0x80, 201, 1, ssrc)
                self.sock.sendto(empty_report + bytes(app), self.to)


def read(transport: Transport, session: ReceiverSession) -> None:
    """All that is queued, and what the kernel says when nothing is."""
    while batches := transport.receive(time.monotonic_ns()):
        now = time.monotonic_ns()
        for batch in batches:
            session.handle_datagrams(batch, now)
        session.handle_timeout(now)


def a_session() -> ReceiverSession:
    return ReceiverSession(SessionConfig({96: Format("H264", 90_000)}, Latency(), seed=1), time.monotonic_ns())


@pytest.mark.skipif(not LINUX, reason="only Linux counts what a socket dropped")
@pytest.mark.parametrize("how", ["range when the queue is empty", "range through a full queue"])
@pytest.mark.parametrize("streams", [1, 2])
def test_a_full_receive_queue_is_told_from_the_network(streams: int, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the packet for one stream. Of two, each may have lost to the network what the other lost here at the same
    moment; together they are exact again, and no report of theirs was dropped."""
    monkeypatch.setattr(sockets, "RECEIVE_BUFFER", 60_000)
    with (
        open_transport(Listen("127.0.0.1", (0,)), gro=False) as transport,
        Senders(("127.0.0.1", transport.ports[0]), loss=0.05, streams=streams) as senders,
    ):
        session = a_session()
        senders.burst(20, whole=True)
        read(transport, session)
        for count in (400, 30, 300, 500):
            senders.burst(count)
            read(transport, session)
            senders.burst(2, whole=True)
            read(transport, session)
        senders.burst(400)
        if how == "range when the queue is empty":
            read(transport, session)
        senders.say_range(final=True)
        read(transport, session)
        if how == "range through a full queue":
            senders.say_range(final=True)
            read(transport, session)
        session.close(time.monotonic_ns())
        total = transport.kernel_drops_total()
    counts = {s.key.ssrc: s.ledger for s in session.statistics().streams}
    assert session.statistics().kernel_drops == total
    assert total is not None
    assert total > 500
    here = {s: senders.sent[s] - senders.lost[s] - counts[s].arrived for s in counts}
    reports_dropped = total - sum(here.values())
    assert reports_dropped in ([0] if how == "range when the queue is empty" else range(streams + 1))
    assert sum(here.values()) <= sum(c.lost_local for c in counts.values()) <= total
    for ssrc, dropped in here.items():
        assert counts[ssrc].sent == senders.sent[ssrc]
        assert counts[ssrc].lost_local == dropped or not counts[ssrc].lost_local_exact or reports_dropped
    if streams == 1 and not reports_dropped:
        assert counts[SSRCS[0]].lost_local_exact


@pytest.mark.skipif(not LINUX, reason="only Linux has UDP_GRO")
def test_a_full_receive_queue_is_bounded_where_the_kernel_counts_aggregates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "RECEIVE_BUFFER", 60_000)
    with (
        open_transport(Listen("127.0.0.1", (0,))) as transport,
        Senders(("127.0.0.1", transport.ports[0]), loss=0.05) as senders,
    ):
        if not sockets.aggregates(next(iter(transport._ports.values())).socket):
            pytest.skip("this kernel has no UDP_GRO")
        session = a_session()
        senders.aggregates(2)
        read(transport, session)
        for count in (40, 3, 50, 1, 30):
            senders.aggregates(count)
            read(transport, session)
        senders.say_range(final=True)
        read(transport, session)
        session.close(time.monotonic_ns())
        aggregates = transport.kernel_drops_total()
    (stream,) = session.statistics().streams
    counts, ssrc = stream.ledger, SSRCS[0]
    truth = senders.sent[ssrc] - senders.lost[ssrc] - counts.arrived
    assert aggregates is not None
    assert truth == aggregates * 8
    assert aggregates <= counts.lost_local <= truth
    assert not counts.lost_local_exact
