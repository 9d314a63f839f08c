"""What servers say, and what becomes of it: over loopback, with a server that says anything."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from protocol.control import trying
from protocol.control.client import Options
from protocol.errors import FatalError, NoPeerError, ResourceError
from protocol.rtcp import compound
from protocol.rtcp.rr import ReceiverReport
from protocol.rtp import RtpPacket
from protocol.rtsp import transport, url
from protocol.rtsp.headers import Headers
from protocol.rtsp.message import Interleaved, Message, Request, Response
from receiver.config import Listen, ReceiverConfig
from receiver.control import playing
from receiver.control.playing import Player
from receiver.events import StreamEnded
from tests.support.bare import Bare, until
from tests.support.rtsp_script import SDP, RtspScript, described

PICTURE = bytes([0x10, 0x10, 0, 0x9D, 0x01, 0x2A, 0x10, 0, 0x10, 0])


class Playing(Bare):
    """With a presentation that it asks for."""

    def __init__(self, config: ReceiverConfig, timeout: float) -> None:
        super().__init__()
        options = Options(timeout=1.0, how={"timeout": timeout})
        self.player = Player(config, self.network, self.thread.post, self.lines.append, options)
        self.run = self.thread.call(self.player.run())
        self._closed = False

    def ended(self) -> FatalError:
        """What it ended with."""
        with pytest.raises(FatalError) as caught:
            self.run.result(5)
        return caught.value

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self.run.cancel()
            self.do(self.player.leave())
            self.thread.post(self.player.close)
            super().close()


Begin = Callable[..., Playing]


@pytest.fixture
def begin() -> Iterator[Begin]:
    begun: list[Playing] = []

    def begin(server: RtspScript | str, lower: str = "auto", timeout: float = 2.0) -> Playing:
        listen = Listen(ports=(), url=url.parse(server if isinstance(server, str) else server.url))
        begun.append(Playing(ReceiverConfig(listen=listen, rtsp_transport=lower), timeout))
        return begun[-1]

    yield begin
    for each in begun:
        each.close()


def usual(request: Request, sdp: str = SDP, **other: Response) -> Response:
    """A server that takes everything, by UDP or TCP, and sends nothing. `other` answers by method."""
    if request.method in other:
        return other[request.method]
    if request.method == "DESCRIBE":
        return described(sdp)
    if request.method == "SETUP":
        (offer, *_) = transport.parse(request.headers.get("Transport") or "")
        ports = ";server_port=9-9" if offer.client_port else ""
        headers = Headers.of(("Session", "abc"), ("Transport", transport.serialize([offer]) + ports))
        return Response(200, headers)
    return Response(200)


def packets(number: int, payload_type: int, ssrc: int, payload: bytes) -> list[bytes]:
    return [bytes(RtpPacket(payload_type, n, 3000 * n, ssrc, payload, True)) for n in range(number)]


def media() -> list[Message]:
    """Pictures on channel 0, sound on channel 2."""
    pictures = [Interleaved(0, packet) for packet in packets(10, 96, 1, PICTURE)]
    return [*pictures, *(Interleaved(2, packet) for packet in packets(10, 0, 2, bytes(160)))]


def playing_by_tcp(request: Request) -> Response | list[Message]:
    """Sends as soon as it is asked to."""
    return [Response(200), *media()] if request.method == "PLAY" else usual(request)


def test_media_in_the_connection(begin: Begin) -> None:
    with RtspScript(playing_by_tcp) as server:
        player = begin(server, "tcp")
        until(lambda: player.arrived() == {"VP8": 10, "PCMU": 10})
        offers = [request.headers.get("Transport") for request in server.said("SETUP")]
        assert offers == ["RTP/AVP/TCP;unicast;interleaved=0-1", "RTP/AVP/TCP;unicast;interleaved=2-3"]
        assert [request.url for request in server.said("SETUP")] == [f"{server.url}/one", f"{server.url}/two"]
        (play,) = server.said("PLAY")
        assert play.url == server.url
        assert play.headers.get("Session") == "abc"
        player.close()
        assert [request.url for request in server.said("TEARDOWN")] == [server.url]


def test_channels_are_the_servers_choice(begin: Begin) -> None:
    def answer(request: Request) -> Response | list[Message]:
        if request.method == "SETUP":
            mine = "8-9" if request.url.endswith("one") else "4-5"
            chosen = f"RTP/AVP/TCP;unicast;interleaved={mine}"
            return Response(200, Headers.of(("Session", "abc"), ("Transport", chosen)))
        if request.method == "PLAY":
            return [Response(200), *(Interleaved(8 - 2 * m.channel, m.data) for m in media())]  # type: ignore[union-attr]
        return usual(request)

    with RtspScript(answer) as server:
        player = begin(server, "tcp")
        until(lambda: player.arrived() == {"VP8": 10, "PCMU": 10})


def test_reports_go_into_the_connection(begin: Begin) -> None:
    """On the channel after that of the media."""
    heard: list[Interleaved] = []
    with RtspScript(playing_by_tcp, heard.append) as server:
        player = begin(server, "tcp")
        until(lambda: player.arrived() == {"VP8": 10, "PCMU": 10})
        until(lambda: {packet.channel for packet in heard} == {1, 3}, 8)
        reports = [compound.parse(packet.data)[0] for packet in heard]
        assert {block.ssrc for report in reports if isinstance(report, ReceiverReport) for block in report.reports} == {
            1, 2
        }  # fmt: skip


def test_udp_that_does_not_come_is_asked_for_in_the_connection(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playing, "SILENT", 300_000_000)

    def answer(request: Request) -> Response | list[Message]:
        setups = [transport.parse(r.headers.get("Transport") or "")[0] for r in server.said("SETUP")]
        if request.method == "PLAY" and setups[-1].lower == "TCP":
            return [Response(200), *media()]
        return usual(request)

    with RtspScript(answer) as server:
        player = begin(server)
        until(lambda: player.arrived() == {"VP8": 10, "PCMU": 10})
        assert [request.method for request in server.requests] == [
            "OPTIONS", "DESCRIBE", "SETUP", "SETUP", "PLAY", "TEARDOWN", "SETUP", "SETUP", "PLAY"
        ]  # fmt: skip
        (line,) = [line for line in player.lines if "TCP connection" in line]
        assert line.startswith("no packets by UDP for")
        until(lambda: player.transport.ports == ())


def test_udp_is_what_was_asked_for(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playing, "SILENT", 300_000_000)
    with RtspScript(usual) as server:
        player = begin(server, "udp")
        until(lambda: [line for line in player.lines if line.startswith("no packets from 127.0.0.1")])
        assert all("UDP" in line or "no packets" in line for line in player.lines)
        assert len(server.said("SETUP")) == 2


def refusing(**other: Response) -> Callable[[Request], Response]:
    return lambda request: usual(request, **other)


@pytest.mark.parametrize(
    ("answers", "kind", "exit_code", "line"),
    [
        ({"DESCRIBE": Response(404)}, NoPeerError, 3, "there is no stream live at 127.0.0.1:{port}"),
        ({"DESCRIBE": Response(501)}, ResourceError, 1, "127.0.0.1:{port} cannot do DESCRIBE: 501 Not Implemented"),
        ({"SETUP": Response(454)}, NoPeerError, 3, "127.0.0.1:{port} has forgotten the session"),
        (
            {"SETUP": Response(461)}, ResourceError, 1,
            "127.0.0.1:{port} takes none of the transports offered: 461 Unsupported Transport",
        ),
        ({"PLAY": Response(503)}, ResourceError, 1, "127.0.0.1:{port} has no place for us now: 503 Service"),
        ({"DESCRIBE": Response(200, body=b"hello")}, ResourceError, 1, "127.0.0.1:{port} describes its stream"),
        (
            {"DESCRIBE": described("v=0\r\nm=video 0 RTP/AVP 32\r\n")}, ResourceError, 1,
            "there is nothing at rtsp://127.0.0.1:{port}/live that can be played",
        ),
    ],
)  # fmt: skip
def test_a_server_that_refuses_is_one_line(
    begin: Begin, answers: dict[str, Response], kind: type[FatalError], exit_code: int, line: str
) -> None:
    with RtspScript(refusing(**answers)) as server:
        error = begin(server).ended()
        assert isinstance(error, kind)
        assert error.exit_code == exit_code
        assert str(error).startswith(line.format(port=server.port))
        assert "\n" not in str(error)


def test_nobody_there(begin: Begin) -> None:
    with RtspScript(usual) as server:
        pass
    error = begin(server).ended()
    assert isinstance(error, NoPeerError)
    assert str(error) == f"nobody listens on TCP port {server.port} of 127.0.0.1"


def test_one_track_is_refused_and_the_other_plays(begin: Begin) -> None:
    def answer(request: Request) -> Response | list[Message]:
        if request.method == "SETUP" and request.url.endswith("one"):
            return Response(461)
        return playing_by_tcp(request)

    with RtspScript(answer) as server:
        player = begin(server, "tcp")
        until(lambda: player.arrived() == {"PCMU": 10})
        assert any(line.startswith("track 1 (VP8) is left out: ") and "461" in line for line in player.lines)


def test_what_the_server_offers_instead(begin: Begin) -> None:
    """461 to UDP: then in the connection, at once."""

    def answer(request: Request) -> Response | list[Message]:
        offered = transport.parse(request.headers.get("Transport") or "RTP/AVP")[0]
        if request.method == "SETUP" and offered.lower == "UDP":
            return Response(461)
        return playing_by_tcp(request)

    with RtspScript(answer) as server:
        player = begin(server)
        until(lambda: player.arrived() == {"VP8": 10, "PCMU": 10})
        assert len(server.said("PLAY")) == 1


def test_a_redirect_is_followed(begin: Begin) -> None:
    with (
        RtspScript(playing_by_tcp) as server,
        RtspScript(lambda _: Response(302, Headers.of(("Location", server.url)))) as first,
    ):
        player = begin(first, "tcp")
        until(lambda: player.arrived() == {"VP8": 10, "PCMU": 10})
        assert f"127.0.0.1:{first.port} sends us to {server.url}" in player.lines


def test_a_connection_that_is_lost_is_made_again(begin: Begin) -> None:
    """With the same SSRCs the streams go on, and what was missed is lost."""
    with RtspScript(playing_by_tcp) as server:
        player = begin(server, "tcp")
        until(lambda: player.arrived() == {"VP8": 10, "PCMU": 10})
        server.cut()
        until(lambda: len(server.said("PLAY")) == 2)
        (line,) = [line for line in player.lines if "is lost" in line]
        assert line.startswith(
            f"the connection to 127.0.0.1:{server.port} is lost: the other end closed it; next try in"
        )


def test_a_server_that_falls_silent_is_asked_anew(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connection still stands, but nothing comes: a half-open one looks like that. What was open is closed."""
    monkeypatch.setattr(playing, "SILENT", 200_000_000)
    monkeypatch.setattr(playing, "STALE", 600_000_000)
    monkeypatch.setattr(trying, "FIRST_DELAY", 0.05)
    with RtspScript(playing_by_tcp) as server:
        player = begin(server, "tcp")
        until(lambda: player.arrived() == {"VP8": 10, "PCMU": 10})
        until(lambda: len(server.said("PLAY")) == 3)
        assert f"no packets from 127.0.0.1:{server.port} for 0 s" in player.lines
        assert any(line.startswith("no packets from 127.0.0.1 for 0 s; next try in") for line in player.lines)
        until(lambda: len(player.transport.lanes._lanes) <= 8, 3)


def test_a_server_that_does_not_answer_is_told_of(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playing, "SILENT", 100_000_000)
    with RtspScript(lambda _: None) as server:
        error = begin(server).ended()
        assert isinstance(error, NoPeerError)
        assert str(error) == f"127.0.0.1:{server.port} does not answer OPTIONS for 1 s"


def test_a_full_accept_queue(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system answers nobody any more (Linux: one more than the backlog waits)."""
    monkeypatch.setattr(playing, "SILENT", 100_000_000)
    with socket.socket() as full, ExitStack() as stack:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        where = f"rtsp://127.0.0.1:{full.getsockname()[1]}/live"
        player = begin(where, timeout=0.5)
        error = player.ended()
        assert isinstance(error, NoPeerError)
        assert str(error).startswith(f"no answer from TCP port {full.getsockname()[1]} of 127.0.0.1")
        assert player.lines[0].startswith("no answer from 127.0.0.1:")


def test_nobody_comes_back(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries go on, less and less often; what was open is closed."""
    monkeypatch.setattr(trying, "FIRST_DELAY", 0.02)
    monkeypatch.setattr(trying, "LONGEST_DELAY", 0.1)
    with RtspScript(playing_by_tcp) as server:
        player = begin(server, "tcp")
        until(lambda: player.arrived() == {"VP8": 10, "PCMU": 10})
    until(lambda: len([line for line in player.lines if "nobody listens" in line]) > 4)
    assert not player.run.done()


def test_the_server_says_what_it_numbered(begin: Begin) -> None:
    """SET_PARAMETER: the tail is lost, and the stream ends."""

    def told() -> list[tuple[int | None, int]]:
        found = [s.ledger for s in player.network.ask().streams if s.format.encoding == "VP8"]
        return [(ledger.sent, ledger.lost) for ledger in found]

    with RtspScript(playing_by_tcp) as server:
        player = begin(server, "tcp")
        until(lambda: player.arrived() == {"VP8": 10, "PCMU": 10})
        body = b"x-steadycast-range: 1 0 14 15\r\n"
        server.say(Request("SET_PARAMETER", server.url, Headers.of(("CSeq", "1"), ("Session", "abc")), body))
        until(lambda: told() == [(15, 5)])


def test_the_server_ends_the_session(begin: Begin) -> None:
    with RtspScript(playing_by_tcp) as server:
        player = begin(server, "tcp")
        until(lambda: player.arrived() == {"VP8": 10, "PCMU": 10})
        server.say(Request("TEARDOWN", server.url, Headers.of(("CSeq", "1"), ("Session", "abc"))))
        until(lambda: sum(isinstance(event, StreamEnded) for event in player.events) == 2)
        ended = [event.why for event in player.events if isinstance(event, StreamEnded)]
        assert ended == ["the server ended it"] * 2


def test_who_leaves_is_told_what_was_sent(begin: Begin) -> None:
    """In the answer to TEARDOWN: head and tail of what we asked for are exact, though it was we who ended it."""

    def answer(request: Request) -> Response | list[Message]:
        if request.method == "TEARDOWN":
            headers = Headers.of(("Content-Type", "text/parameters"))
            return Response(200, headers, b"x-steadycast-range: 1 65530 65551 22, 2 0 9 10\r\n")
        return playing_by_tcp(request)

    with RtspScript(answer) as server:
        player = begin(server, "tcp")
        until(lambda: player.arrived() == {"VP8": 10, "PCMU": 10})
        player.run.cancel()
        player.do(player.player.leave())
        streams = {s.format.encoding: s.ledger for s in player.network.ask().streams}
        assert [(streams[name].sent, streams[name].lost) for name in ("VP8", "PCMU")] == [(22, 12), (10, 0)]
