"""Destinations that come and go while the network thread runs."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from random import Random
from typing import Any

import pytest

from protocol import rtp
from protocol.rtcp import compound
from protocol.rtcp.bye import Bye
from protocol.rtcp.nack import Nack
from protocol.rtcp.range import SenderRange
from protocol.rtcp.range import parse as parse_range
from protocol.rtcp.rr import ReceiverReport
from protocol.srtp.encryption import Encryption, FixedKeys
from protocol.srtp.master_key import MasterKey
from protocol.srtp.profile import Profile
from protocol.srtp.protector import Protector
from protocol.srtp.unprotector import Unprotector
from sender.clients import Track
from sender.config import SenderConfig
from sender.feed import Outbox
from sender.media import AccessUnit
from sender.network import Network
from sender.paths import Channel, Path, TargetPaths
from sender.programme import Programme
from sender.session import SenderSession, StreamConfig
from sender.snapshot import SourceSnapshot
from sender.transport import PortPair, Transport
from tests.support.traffic import h264_frame

WAIT = 3.0


class Feed:
    """Stands in for sender.feed.Feed."""

    rate = None

    def __init__(self) -> None:
        self.key_frames_asked = 0

    def request_key_frame(self) -> None:
        self.key_frames_asked += 1

    def expect_loss(self, share: float) -> None: ...

    def snapshot(self) -> SourceSnapshot:
        return SourceSnapshot("video", 0, 0, 0, None)


class Served:
    """A network that serves on loopback, and what a test does to it."""

    def __init__(self) -> None:
        self.transport = Transport(SenderConfig(()))
        self.ports: PortPair = self.transport.share("127.0.0.1", socket.AF_INET)
        self.outbox = Outbox(1, self.transport.wake)
        self.feed = Feed()
        feeds: list[Any] = [self.feed]
        programme = Programme(self.outbox, feeds, (90_000,))
        self.lines: list[str] = []
        self.network = Network(
            self.transport, programme, start=time.monotonic_ns(), log=self.lines.append, serves=True
        )  # fmt: skip
        self.gone: list[int] = []
        self.network.ended = lambda destination: self.gone.append(destination.to.key)
        self.network.start()

    def session(self, ssrc: int, rtp_path: object, rtcp_path: object, **options: Any) -> SenderSession:
        stream = StreamConfig(
            "video", "H264", 96, 90_000, ssrc, 33_333_333, 1_000_000, rtp_path=rtp_path, rtcp_path=rtcp_path, **options
        )
        now = time.monotonic_ns()
        return SenderSession((stream,), cname="me", now=now, wall=time.time_ns(), random=Random(ssrc), repair="nack")

    def join(self, peer: socket.socket, ssrc: int, encryption: Encryption | None = None) -> int:
        """A receiver with one port."""
        key, address = self.transport.new_key(), peer.getsockname()
        path = Path(key, self.ports.rtp, address, True)
        to = TargetPaths(key, f"receiver {key}", address, False, {"video": (path, path)})
        session = self.session(ssrc, path, path, rtx_payload_type=112, rtx_ssrc=ssrc + 1)

        def add(_: int) -> None:
            self.transport.welcome(key, Track({ssrc}, path, path))
            self.network.add(to, session, (0,), acknowledges=False, encryption=encryption)
            self.network.play(key)

        self.network.ask(add).result(WAIT)
        return key

    def send(self, number: int, *, key_frame: bool = False) -> None:
        unit = AccessUnit(h264_frame(number, 500, key_frame), 3000 * number, time.monotonic_ns(), key_frame)
        assert self.outbox.put(0, unit)


@contextmanager
def serving() -> Iterator[Served]:
    served = Served()
    try:
        yield served
    finally:
        served.network.close()
        assert served.network.finished.wait(WAIT)
        assert served.network.error is None
        served.transport.close()


@contextmanager
def receiving() -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as opened:
        opened.bind(("127.0.0.1", 0))
        opened.settimeout(WAIT)
        yield opened


def next_packet(peer: socket.socket) -> rtp.RtpPacket:
    while True:
        data = peer.recv(2048)
        if not 192 <= data[1] <= 223:
            return rtp.parse(data)


def farewell(peer: socket.socket) -> tuple[SenderRange | None, bool]:
    """The last final range, and whether a BYE came."""
    final, bye = None, False
    while not bye:
        data = peer.recv(2048)
        for packet in compound.parse(data) if 192 <= data[1] <= 223 else ():
            bye |= isinstance(packet, Bye)
            if isinstance(packet, compound.App):
                message = parse_range(packet)
                final = message if isinstance(message, SenderRange) and message.final else final
    return final, bye


def test_receivers_join_and_leave_and_each_has_its_own_numbers() -> None:
    with serving() as served, receiving() as one, receiving() as two:
        first = served.join(one, 0x10)
        served.send(0, key_frame=True)
        assert next_packet(one).ssrc == 0x10
        served.join(two, 0x20)
        served.send(1)
        assert next_packet(one).ssrc == 0x10
        served.send(2, key_frame=True)
        packets = [next_packet(one), next_packet(two)]
        assert [packet.ssrc for packet in packets] == [0x10, 0x20]
        assert packets[0].payload == packets[1].payload
        served.network.call(lambda now: served.network.end(first, now))
        final, bye = farewell(one)
        assert bye
        assert final is not None
        assert final.count == 3
        deadline = time.monotonic() + WAIT
        while served.gone != [first] and time.monotonic() < deadline:
            time.sleep(0.01)
        assert served.gone == [first]
        served.send(3)
        assert next_packet(two).ssrc == 0x20
        one.settimeout(0.1)
        with pytest.raises(TimeoutError):
            next_packet(one)
    assert len(served.network.snapshot.targets) == 2, "who has left stays in the report"


def test_what_comes_back_is_the_business_of_the_one_it_names() -> None:
    with serving() as served, receiving() as one, receiving() as two:
        served.join(one, 0x10)
        served.join(two, 0x20)
        served.send(0, key_frame=True)
        missed = next_packet(two)
        next_packet(one)
        asked = compound.serialize([ReceiverReport(9), Nack(9, 0x20, (missed.sequence_number,))])
        with receiving() as elsewhere:
            elsewhere.sendto(asked, ("127.0.0.1", served.ports.ports[0]))
            again = next_packet(elsewhere)
            assert (again.ssrc, again.payload[2:]) == (0x21, missed.payload)
            served.send(1)
            assert next_packet(elsewhere).ssrc == 0x20, "media has followed"
        assert next_packet(one).ssrc == 0x10


def test_a_pause_stops_media_and_its_end_asks_for_a_key_frame() -> None:
    with serving() as served, receiving() as peer:
        key = served.join(peer, 0x10)
        served.send(0, key_frame=True)
        number = next_packet(peer).sequence_number
        served.network.ask(lambda _: served.network.pause(key)).result(WAIT)
        served.send(1)
        asked = served.feed.key_frames_asked
        time.sleep(0.3)  # longer than requests are merged
        served.network.ask(lambda _: served.network.play(key)).result(WAIT)
        served.send(2, key_frame=True)
        packet = next_packet(peer)
        assert packet.sequence_number == number + 1
        assert served.feed.key_frames_asked == asked + 1


def test_through_a_connection() -> None:
    with serving() as served:
        taken: list[tuple[int, bytes]] = []

        def hand_over(channel: Channel, datagrams: Sequence[bytes]) -> Sequence[bytes]:
            taken.extend((channel.number, datagram) for datagram in datagrams[:1])
            return datagrams[1:]

        key = served.transport.new_key()
        rtp_channel, rtcp_channel = (Channel(key, number, number == 0, hand_over) for number in (0, 1))
        to = TargetPaths(key, "interleaved", ("192.0.2.7", 40_000), False, {"video": (rtp_channel, rtcp_channel)})
        session = served.session(0x10, rtp_channel, rtcp_channel, rtx_payload_type=112, rtx_ssrc=0x11)
        served.network.ask(lambda _: served.network.add(to, session, (0,), acknowledges=False)).result(WAIT)
        served.send(0, key_frame=True)
        deadline = time.monotonic() + WAIT
        while len(taken) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert {channel for channel, _ in taken} == {0, 1}
        packet = rtp.parse(next(data for channel, data in taken if channel == 0))
        asked = compound.serialize([ReceiverReport(9), Nack(9, 0x10, (packet.sequence_number,))])
        served.network.call(lambda now: served.network.receive(key, [asked], rtcp_channel, now))
        while len(taken) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert rtp.parse(taken[2][1]).ssrc == 0x11


def test_the_end_of_the_media_is_the_end_of_sessions_and_not_of_the_server() -> None:
    with serving() as served, receiving() as one, receiving() as two:
        served.join(one, 0x10)
        served.send(0, key_frame=True)
        served.outbox.end(0)
        assert farewell(one)[1]
        assert not served.network.finished.is_set()
        outbox = Outbox(1, served.transport.wake)
        feeds: list[Any] = [served.feed]
        served.network.ask(lambda _: served.network.change(Programme(outbox, feeds, (90_000,)))).result(WAIT)
        served.join(two, 0x20)
        served.outbox = outbox
        served.send(0, key_frame=True)
        assert next_packet(two).ssrc == 0x20


def test_a_receiver_elsewhere_is_followed_once_it_has_proved_itself() -> None:
    """Its reports come from another address. Who cannot encrypt them changes nothing, nor who repeats them."""
    ours, theirs = (MasterKey.generate(Profile.AEAD_AES_128_GCM) for _ in range(2))
    receiver, opened = Protector(theirs), Unprotector(ours)
    report = compound.serialize([ReceiverReport(9)])

    def sealed(data: bytes = report) -> bytes:
        return receiver.protect([data])[0]

    def next_number(peer: socket.socket) -> int:
        while True:
            clear = opened.unprotect(peer.recv(2048), 0)
            assert clear is not None
            if not 192 <= clear[1] <= 223:
                return rtp.parse(clear).sequence_number

    with serving() as served, receiving() as home, receiving_at("127.0.0.2", home) as away:
        place = ("127.0.0.1", served.ports.ports[0])
        served.join(home, 0x10, FixedKeys(Protector(ours), [theirs]))
        served.send(0, key_frame=True)
        first = next_number(home)
        heard = sealed()
        home.sendto(heard, place)
        stranger = Protector(MasterKey.generate(Profile.AEAD_AES_128_GCM))
        for forged in (report, stranger.protect([report, report])[1], heard):
            away.sendto(forged, place)
        time.sleep(0.1)
        served.send(1)
        assert next_number(home) == first + 1
        away.sendto(sealed(), place)
        wait_until(lambda: any("is at 127.0.0.2" in line for line in served.lines))
        served.send(2)
        assert next_number(away) == first + 2
        home.sendto(sealed(), place)
        wait_until(lambda: any("is at 127.0.0.1" in line for line in served.lines))
        served.send(3)
        assert next_number(home) == first + 3
    (target,) = served.network.snapshot.targets
    assert target.statistics.unparsed == {"srtp_unauthenticated": 1, "srtp_replayed": 1}


@contextmanager
def receiving_at(host: str, like: socket.socket) -> Iterator[socket.socket]:
    """The same port at another address."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as opened:
        opened.bind((host, like.getsockname()[1]))
        opened.settimeout(WAIT)
        yield opened


def wait_until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)
