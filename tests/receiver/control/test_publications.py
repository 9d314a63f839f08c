"""What senders may announce, and what they may not: over loopback, request by request."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from protocol.control.listening import open_sockets
from protocol.rtp import RtpPacket
from protocol.rtsp import digest, transport
from protocol.rtsp.headers import Headers
from protocol.rtsp.message import Interleaved, Message, Request, Response, serialize
from protocol.rtsp.reader import Reader
from receiver.config import Listen, ReceiverConfig
from receiver.control import publications
from receiver.control.publications import Publications
from receiver.control.reception import Reception
from tests.support.bare import Bare, until

SDP = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=a test\r\nt=0 0\r\n"
    b"m=audio 0 RTP/AVP 97\r\na=rtpmap:97 L16/8000\r\na=control:streamid=0\r\n"
    b"m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/48000/2\r\na=control:streamid=1\r\n"
)


class Caller:
    """A sender's end of a connection."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 5)
        self.url = f"rtsp://127.0.0.1:{port}/camera"
        self._reader = Reader()
        self._cseq = 0
        self.session: str | None = None

    def ask(self, method: str, url: str = "", *headers: tuple[str, str], body: bytes = b"") -> Response:
        self._cseq += 1
        told = [("CSeq", str(self._cseq)), *headers]
        if self.session is not None:
            told.append(("Session", self.session))
        self.say(Request(method, url or self.url, Headers.of(*told), body))
        while True:
            for message in self._reader.receive(self.socket.recv(65536)):
                if isinstance(message, Response):
                    return message

    def say(self, message: Message) -> None:
        self.socket.sendall(serialize(message))

    def announce(self, url: str = "", body: bytes = SDP) -> int:
        return self.ask("ANNOUNCE", url, ("Content-Type", "application/sdp"), body=body).status

    def set_up(self, text: str, url: str = "") -> Response:
        response = self.ask("SETUP", url or f"{self.url}/streamid=0", ("Transport", text))
        if response.status == 200:
            self.session = (response.headers.get("Session") or "").partition(";")[0]
        return response

    def record(self, text: str = "RTP/AVP/TCP;unicast;interleaved=0-1;mode=record") -> None:
        assert self.announce() == 200
        assert self.set_up(text).status == 200
        assert self.ask("RECORD").status == 200

    def send(self, first: int, count: int, channel: int = 0, ssrc: int = 7) -> None:
        for number in range(first, first + count):
            packet = RtpPacket(97, number, 160 * number, ssrc, bytes(320))
            self.say(Interleaved(channel, bytes(packet)))


class Receiving(Bare):
    """With a port where senders may announce themselves."""

    def __init__(self, guard: digest.Challenger | None = None) -> None:
        super().__init__()
        config = ReceiverConfig(listen=Listen(ports=()))
        application = Publications(config, self.network, self.thread.post, self.lines.append)
        self.reception = Reception(application, self.lines.append, guard=guard)
        sockets = open_sockets("127.0.0.1", 0, "")
        self.port = int(sockets[0].getsockname()[1])
        self.do(self.reception.start(sockets, None))
        self._callers: list[Caller] = []

    def caller(self) -> Caller:
        """One more sender."""
        self._callers.append(Caller(self.port))
        return self._callers[-1]

    def told(self) -> list[tuple[str, int, int, int | None]]:
        """Encoding, arrived, lost, sent of each stream."""
        streams = self.network.ask().streams
        return [(s.format.encoding, s.ledger.arrived, s.ledger.lost, s.ledger.sent) for s in streams]

    def close(self) -> None:
        for caller in self._callers:
            caller.socket.close()
        self.do(self.reception.close())
        super().close()


@pytest.fixture
def receiving() -> Iterator[Receiving]:
    opened = Receiving()
    yield opened
    opened.close()


def test_what_is_sent_in_the_connection(receiving: Receiving) -> None:
    sender = receiving.caller()
    sender.record()
    sender.send(100, 20)
    until(lambda: receiving.told() == [("L16", 20, 0, None)])
    assert receiving.lines == [
        "camera from 127.0.0.1: track 2 cannot be played and is left out: audio, MPEG4-GENERIC",
        "127.0.0.1 sends camera: L16, by TCP",
    ]
    assert sender.ask("TEARDOWN").status == 200
    until(lambda: receiving.lines[-1] == "127.0.0.1 ends camera")


def test_what_is_sent_by_udp(receiving: Receiving) -> None:
    """The ports are a pair, the first one even (RFC 3550 §11); something comes back that opens the way."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as media:
        media.bind(("127.0.0.1", 0))
        media.settimeout(3)
        own = media.getsockname()[1]
        sender = receiving.caller()
        assert sender.announce() == 200
        response = sender.set_up(f"RTP/AVP;unicast;client_port={own}-{own};mode=record")
        (agreed,) = transport.parse(response.headers.get("Transport") or "")
        assert (agreed.client_port, agreed.mode) == ((own, own), "RECORD")
        assert agreed.server_port is not None
        rtp, rtcp = agreed.server_port
        assert (rtp % 2, rtcp) == (0, rtp + 1)
        assert sender.ask("RECORD").status == 200
        assert {media.recvfrom(2000)[1][1] for _ in range(2)} == {rtp, rtcp}
        for number in range(20):
            media.sendto(bytes(RtpPacket(97, number, 160 * number, 7, bytes(320))), ("127.0.0.1", rtp))
        until(lambda: receiving.told() == [("L16", 20, 0, None)])
        assert sender.ask("TEARDOWN").status == 200
        until(lambda: receiving.transport.ports == ())


def test_the_final_range_makes_head_and_tail_exact(receiving: Receiving) -> None:
    """Five before the first that came, and four after the last."""
    sender = receiving.caller()
    sender.record()
    sender.send(105, 20)
    body = b"x-steadycast-range: 7 100 128 29\r\n"
    assert sender.ask("SET_PARAMETER", "", ("Content-Type", "text/parameters"), body=body).status == 200
    until(lambda: receiving.told() == [("L16", 20, 9, 29)])


@pytest.mark.parametrize("body", [b"x-steadycast-range: 7 100\r\n", b"volume: 11\r\n"])
def test_parameters_that_mean_nothing(receiving: Receiving, body: bytes) -> None:
    sender = receiving.caller()
    sender.record()
    assert sender.ask("SET_PARAMETER", "", ("Content-Type", "text/parameters"), body=body).status in (400, 451)


def test_nobody_takes_the_name_of_one_that_is_sending(receiving: Receiving) -> None:
    sender, other = receiving.caller(), receiving.caller()
    sender.record()
    sender.send(0, 5)
    assert other.announce() == 403
    assert other.announce(f"rtsp://127.0.0.1:{receiving.port}/another") == 200


def test_nobody_ends_or_changes_what_another_sends(receiving: Receiving) -> None:
    """There is no way to name it but its id, which cannot be guessed."""
    sender, other = receiving.caller(), receiving.caller()
    sender.record()
    other.session = "0" * 32
    assert [other.ask(method).status for method in ("TEARDOWN", "PAUSE", "RECORD")] == [454, 454, 454]
    other.session = None
    assert other.ask("TEARDOWN").status == 454
    sender.send(0, 5)
    until(lambda: receiving.told() == [("L16", 5, 0, None)])


def test_a_sender_that_was_killed_begins_anew(receiving: Receiving) -> None:
    """In the connection its session ended with that; by UDP it goes on for a moment, but not against its own sender."""
    for text in ("RTP/AVP/TCP;unicast;interleaved=0-1", "RTP/AVP;unicast;client_port=9-10"):
        sender = receiving.caller()
        sender.record(text + ";mode=record")
        sender.socket.close()
        again = receiving.caller()
        until(lambda again=again: again.announce() == 200)  # type: ignore[misc]
        assert again.set_up(text + ";mode=record").status == 200
        again.ask("TEARDOWN")
        again.socket.close()


def test_a_sender_that_sends_nothing_is_told_of(receiving: Receiving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publications, "SILENT", 200_000_000)
    sender = receiving.caller()
    sender.record()
    until(lambda: receiving.lines[-1] == "no packets of camera from 127.0.0.1 for 2 s")
    assert receiving.caller().announce() == 200


def test_what_cannot_be(receiving: Receiving) -> None:
    sender = receiving.caller()
    assert sender.announce(body=b"v=0\r\nm=video 0 RTP/AVP 32\r\n") == 415
    assert sender.announce(body=b"v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/8000\r\n") == 415
    assert sender.announce(body=b"hello") == 400
    assert sender.announce() == 200
    assert sender.set_up("RTP/AVP;multicast;port=7000-7001").status == 461
    assert sender.set_up("RTP/SAVP;unicast;client_port=7000-7001").status == 461
    assert sender.set_up("RTP/AVP/TCP;unicast;interleaved=0-1", f"{sender.url}/streamid=7").status == 404
    assert sender.ask("PLAY").status == 405
    assert sender.ask("DESCRIBE").status == 405


def test_channels_are_free_or_others(receiving: Receiving) -> None:
    """Two tracks that ask for the same pair get different ones."""
    sender = receiving.caller()
    assert sender.announce() == 200
    pairs = [
        transport.parse(
            sender.set_up("RTP/AVP/TCP;unicast;interleaved=0-1", f"{sender.url}/streamid={n}").headers.get("Transport")
            or ""
        )[0].interleaved
        for n in (0, 1)
    ]
    assert pairs == [(0, 1), (2, 3)]


def test_strangers_write_nothing() -> None:
    """Without the password nothing is opened; what comes in the connection is nobody's."""
    receiving = Receiving(digest.Challenger("Steadycast", {"alice": "secret"}))
    try:
        sender = receiving.caller()
        assert sender.announce() == 401
        assert sender.set_up("RTP/AVP/TCP;unicast;interleaved=0-1").status == 401
        sender.send(0, 20)
        challenges = list(sender.ask("ANNOUNCE").headers.all("WWW-Authenticate"))
        answer = digest.answer(challenges, "alice", "wrong", "ANNOUNCE", sender.url, "00", 1)
        assert sender.ask("ANNOUNCE", "", ("Authorization", answer), body=SDP).status == 401
        assert receiving.told() == []
        assert receiving.transport.ports == ()
        challenges = list(sender.ask("ANNOUNCE").headers.all("WWW-Authenticate"))
        answer = digest.answer(challenges, "alice", "secret", "ANNOUNCE", sender.url, "00", 1)
        assert sender.ask("ANNOUNCE", "", ("Authorization", answer), body=SDP).status == 200
    finally:
        receiving.close()
