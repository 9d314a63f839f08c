"""The RTSP client against servers that follow a script."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from protocol.control.client import Callbacks, Options, RtspClient
from protocol.control.connection import Connection
from protocol.control.trust.known_hosts import KnownHosts
from protocol.control.trust.secure import Trust
from protocol.errors import FatalError, NoPeerError, ResourceError, Untrusted
from protocol.rtsp import url as rtsp_url
from protocol.rtsp.digest import Challenger
from protocol.rtsp.headers import Headers
from protocol.rtsp.message import Request, Response
from tests.support import certificates
from tests.support.control import Listening, listener

Answer = Callable[[Request], Response | None]


@dataclass
class World:
    """Servers, and what the client was told."""

    stack: AsyncExitStack
    folder: Path
    said: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    packets: list[tuple[int, bytes]] = field(default_factory=list)
    asked: list[Request] = field(default_factory=list)
    answer: Answer = lambda _: None

    async def server(self, answer: Answer, tls: ssl.SSLContext | None = None) -> tuple[Listening, int]:
        """A server and its port; CSeq is added to what it answers."""

        def numbered(_: Connection, request: Request) -> Response | None:
            response = answer(request)
            if response is None:
                return None
            return Response(response.status, response.headers.with_("CSeq", str(request.cseq)), response.body)

        handler = Listening(numbered)
        listening = await self.stack.enter_async_context(listener(handler, tls=tls))
        return handler, listening.ports[0]

    async def client(self, url: str, **options: Any) -> RtspClient:
        callbacks = Callbacks(
            lambda *packet: self.packets.append(packet), self._asked, self.losses.append, self.said.append
        )
        trust = Trust(KnownHosts(self.folder / "known_hosts"))
        client = RtspClient(rtsp_url.parse(url), callbacks, Options(trust, **{"timeout": 2.0, **options}))
        self.stack.callback(client.close)
        await client.open()
        return client

    def _asked(self, request: Request) -> Response | None:
        self.asked.append(request)
        return self.answer(request)


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Callable[[World], Coroutine[Any, Any, None]]], World]:
    """Runs a play in a world of its own."""

    def run(scene: Callable[[World], Coroutine[Any, Any, None]]) -> World:
        async def whole() -> World:
            async with AsyncExitStack() as stack:
                world = World(stack, tmp_path)
                await scene(world)
            return world

        return asyncio.run(whole())

    return run


Play = Callable[[Callable[[World], Coroutine[Any, Any, None]]], World]


def fields(request: object, *names: str) -> list[str | None]:
    assert isinstance(request, Request)
    return [request.headers.get(name) for name in names]


def test_numbers_and_sessions(play: Play) -> None:
    """RFC 2326 §12.17 and §12.37: CSeq rises, the session is named from SETUP to TEARDOWN."""

    def answer(request: Request) -> Response:
        if request.method == "SETUP":
            return Response(200, Headers.of(("Session", "abc;timeout=30")))
        return Response(
            200, Headers.of(("Public", "DESCRIBE, get_parameter")) if request.method == "OPTIONS" else Headers()
        )

    async def scene(world: World) -> None:
        server, port = await world.server(answer)
        client = await world.client(f"rtsp://127.0.0.1:{port}/a")
        for method in ("OPTIONS", "DESCRIBE", "SETUP", "PLAY", "TEARDOWN", "OPTIONS"):
            await client.ask(method, headers=Headers.of(("X", method)))
        assert [fields(request, "CSeq", "Session", "X") for request in server.heard] == [
            ["1", None, "OPTIONS"],
            ["2", None, "DESCRIBE"],
            ["3", None, "SETUP"],
            ["4", "abc", "PLAY"],
            ["5", "abc", "TEARDOWN"],
            ["6", None, "OPTIONS"],
        ]
        assert {request.url for request in server.heard if isinstance(request, Request)} == {str(client.url)}
        assert client.public == {"DESCRIBE", "GET_PARAMETER"}

    play(scene)


def test_answers_out_of_order_and_without_numbers(play: Play) -> None:
    async def scene(world: World) -> None:
        server, port = await world.server(lambda _: None)
        client = await world.client(f"rtsp://127.0.0.1:{port}/a")
        asking = [asyncio.create_task(client.request(method)) for method in ("A", "B", "C")]
        await server.until(lambda: len(server.heard) == 3)
        for response in (
            Response(100, Headers.of(("CSeq", "1"))),
            Response(200, Headers.of(("CSeq", "77"))),
            Response(202, Headers.of(("CSeq", "2"))),
            Response(201),
            Response(203),
        ):
            server.connections[0].send(response)
        assert [(await each).status for each in asking] == [201, 202, 203]

    play(scene)


def with_users(guard: Challenger, inner: Answer = lambda _: Response(200)) -> Answer:
    """As our own server does, whose digests other programs' tests check."""

    def answer(request: Request) -> Response | None:
        authorization = request.headers.get("Authorization")
        if authorization is not None:
            try:
                guard.check(authorization, request.method, 0)
            except Exception:
                authorization = None
        if authorization is None:
            challenges = guard.challenges(0)
            return Response(401, Headers(tuple(("WWW-Authenticate", value) for value in challenges)))
        return inner(request)

    return answer


def test_a_password_is_given_when_it_is_asked_for_and_then_at_once(play: Play) -> None:
    async def scene(world: World) -> None:
        server, port = await world.server(with_users(Challenger("realm", {"anna": "secret"})))
        client = await world.client(f"rtsp://anna:secret@127.0.0.1:{port}/a")
        for method in ("OPTIONS", "DESCRIBE", "SETUP"):
            await client.ask(method)
        given = [(request.method, fields(request, "Authorization")[0] is not None) for request in server.heard]
        assert given == [("OPTIONS", False), ("OPTIONS", True), ("DESCRIBE", True), ("SETUP", True)]
        text = str(fields(server.heard[-1], "Authorization")[0])
        assert "algorithm=SHA-256" in text
        assert "nc=00000003" in text
        assert not any("secret" in value for request in server.heard for _, value in request.headers)

    play(scene)


def test_a_password_that_somebody_types(play: Play) -> None:
    async def scene(world: World) -> None:
        _, port = await world.server(with_users(Challenger("realm", {"anna": "secret"})))
        prompts: list[tuple[str, str]] = []

        def ask(user: str, place: str) -> str:
            prompts.append((user, place))
            return "secret"

        client = await world.client(f"rtsp://anna@127.0.0.1:{port}/a", password=ask)
        await client.ask("OPTIONS")
        await client.ask("DESCRIBE")
        assert prompts == [("anna", f"127.0.0.1:{port}")]

    play(scene)


@pytest.mark.parametrize(
    ("who", "line"),
    [
        ("anna:wrong@", r"HOST does not take the password of anna"),
        ("bo:secret@", r"HOST does not take the password of bo"),
        ("", r"HOST wants to know who we are: write rtsp://USER@127\.0\.0\.1, and give --password-file FILE"),
        ("anna@", r"HOST wants the password of anna"),
    ],
)
def test_passwords_that_will_not_do(play: Play, who: str, line: str) -> None:
    async def scene(world: World) -> None:
        server, port = await world.server(with_users(Challenger("realm", {"anna": "secret"})))
        client = await world.client(f"rtsp://{who}127.0.0.1:{port}/a")
        with pytest.raises(Untrusted) as refusal:
            await client.ask("DESCRIBE")
        assert re.fullmatch(line, str(refusal.value).replace(f"127.0.0.1:{port}", "HOST"))
        assert len(server.heard) <= 2

    play(scene)


def test_a_nonce_that_is_too_old_is_no_wrong_password(play: Play) -> None:
    challenge = 'Digest realm="r", nonce="{}", qop="auth", stale={}'
    answers = [
        Response(401, Headers.of(("WWW-Authenticate", challenge.format("one", "false")))),
        Response(200),
        Response(401, Headers.of(("WWW-Authenticate", challenge.format("two", "true")))),
        Response(200),
    ]

    async def scene(world: World) -> None:
        server, port = await world.server(lambda _: answers.pop(0))
        client = await world.client(f"rtsp://anna:secret@127.0.0.1:{port}/a")
        await client.ask("A")
        await client.ask("B")
        used = [
            re.findall('(?<!c)nonce="(.*?)"|nc=([0-9]+)', text or "")
            for (text,) in (fields(r, "Authorization") for r in server.heard)
        ]
        assert used == [
            [],
            [("one", ""), ("", "00000001")],
            [("one", ""), ("", "00000002")],
            [("two", ""), ("", "00000001")],
        ]

    play(scene)


def test_basic_only_inside_tls(play: Play, tmp_path: Path) -> None:
    """RFC 7617 §4."""
    pair = certificates.self_signed(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pair.certificate, pair.key)

    def answer(request: Request) -> Response:
        if request.headers.get("Authorization") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==":  # the RFC's example, §2
            return Response(200)
        return Response(401, Headers.of(("WWW-Authenticate", 'Basic realm="r"')))

    async def scene(world: World) -> None:
        server, port = await world.server(answer, tls)
        user = "Aladdin:open%20sesame"
        client = await world.client(f"rtsp://{user}@127.0.0.1:{port}/a")
        with pytest.raises(Untrusted, match=r"the server wants the password in the open; only rtsps:// hides it"):
            await client.ask("DESCRIBE")
        assert all(request.headers.get("Authorization") is None for request in server.heard)
        await (await world.client(f"rtsps://{user}@127.0.0.1:{port}/a")).ask("DESCRIBE")

    play(scene)


def test_redirects_are_followed_with_the_user_to_the_same_host_only(play: Play) -> None:
    async def scene(world: World) -> None:
        here, port = await world.server(with_users(Challenger("here", {"anna": "secret"})))
        _, second = await world.server(
            lambda _: Response(301, Headers.of(("Location", f"rtsp://127.0.0.1:{port}/new")))
        )
        client = await world.client(f"rtsp://anna:secret@127.0.0.1:{second}/old")
        await client.ask("DESCRIBE")
        assert str(client.url) == f"rtsp://127.0.0.1:{port}/new"
        assert here.heard[-1].url == str(client.url)
        assert world.said == [f"127.0.0.1:{second} sends us to rtsp://127.0.0.1:{port}/new"]
        assert world.losses == []
        _, third = await world.server(lambda _: Response(302, Headers.of(("Location", f"rtsp://localhost:{port}/new"))))
        elsewhere = await world.client(f"rtsp://anna:secret@127.0.0.1:{third}/old")
        with pytest.raises(Untrusted, match="wants to know who we are"):
            await elsewhere.ask("DESCRIBE")

    play(scene)


def test_a_proxy_is_asked_for_the_same_url(play: Play) -> None:
    async def scene(world: World) -> None:
        proxy, port = await world.server(lambda _: Response(200))
        _, second = await world.server(lambda _: Response(305, Headers.of(("Location", f"rtsp://127.0.0.1:{port}"))))
        client = await world.client(f"rtsp://127.0.0.1:{second}/a")
        await client.ask("DESCRIBE")
        assert [request.url for request in proxy.heard] == [f"rtsp://127.0.0.1:{second}/a"]

    play(scene)


def test_redirects_that_are_not_followed(play: Play, tmp_path: Path) -> None:
    pair = certificates.self_signed(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pair.certificate, pair.key)
    location = ""

    async def refused(world: World, url: str) -> FatalError:
        client = await world.client(url)
        with pytest.raises(FatalError) as refusal:
            await client.ask("DESCRIBE")
        return refusal.value

    async def scene(world: World) -> None:
        nonlocal location

        def answer(_: Request) -> Response:
            return Response(302, Headers.of(("Location", location)))

        server, port = await world.server(answer, tls)
        location = f"rtsp://127.0.0.1:{port}/a"
        error = await refused(world, f"rtsps://127.0.0.1:{port}/a")
        assert isinstance(error, Untrusted)
        assert str(error).endswith("without encryption: that could be anybody's word")
        before = len(server.heard)
        error = await refused(world, f"rtsp://127.0.0.1:{port}/a")
        assert isinstance(error, ResourceError)
        assert str(error).endswith("sends us on for the 6th time: it leads nowhere")
        assert len(server.heard) - before == 6
        location = "http://127.0.0.1/"
        assert "which is no address" in str(await refused(world, f"rtsp://127.0.0.1:{port}/a"))

    play(scene)


@pytest.mark.parametrize(
    ("status", "kind", "line"),
    [
        (403, Untrusted, "HOST does not let us in: 403 Forbidden"),
        (404, NoPeerError, "there is no stream a at HOST"),
        (454, NoPeerError, "HOST has forgotten the session"),
        (461, ResourceError, "HOST takes none of the transports offered: 461 Unsupported Transport"),
        (501, ResourceError, "HOST cannot do SETUP: 501 Not Implemented"),
        (503, ResourceError, "HOST has no place for us now: 503 Service Unavailable"),
        (551, ResourceError, "HOST does not know something: 551 Option not supported"),
        (400, ResourceError, "HOST refuses SETUP: 400 Bad Request"),
        (301, ResourceError, "HOST refuses SETUP: 301 Moved Permanently"),
    ],
)
def test_refusals_are_one_line(play: Play, status: int, kind: type[FatalError], line: str) -> None:
    async def scene(world: World) -> None:
        _, port = await world.server(lambda _: Response(status))
        client = await world.client(f"rtsp://127.0.0.1:{port}/a")
        with pytest.raises(kind) as refusal:
            await client.ask("SETUP")
        assert str(refusal.value).replace(f"127.0.0.1:{port}", "HOST") == line

    play(scene)


def test_no_answer(play: Play) -> None:
    async def scene(world: World) -> None:
        _, port = await world.server(lambda _: None)
        client = await world.client(f"rtsp://127.0.0.1:{port}/a", timeout=0.2)
        with pytest.raises(NoPeerError, match="does not answer DESCRIBE for 0 s"):
            await client.ask("DESCRIBE")
        with pytest.raises(NoPeerError, match="is lost"):
            await client.ask("DESCRIBE")
        await asyncio.sleep(0.05)

    assert play(scene).losses == ["it did not answer DESCRIBE"]


def test_a_connection_that_is_lost(play: Play) -> None:
    async def scene(world: World) -> None:
        server, port = await world.server(lambda _: None)
        client = await world.client(f"rtsp://127.0.0.1:{port}/a")
        asking = asyncio.create_task(client.ask("DESCRIBE"))
        await server.until(lambda: bool(server.heard))
        server.connections[0].abort("enough")
        with pytest.raises(NoPeerError, match=r"the connection to 127\.0\.0\.1:\d+ is lost: the other end"):
            await asking

    assert len(play(scene).losses) == 1


def test_what_the_server_asks(play: Play) -> None:
    async def scene(world: World) -> None:
        server, port = await world.server(lambda _: Response(200))
        client = await world.client(f"rtsp://127.0.0.1:{port}/a")
        await client.ask("OPTIONS")
        world.answer = lambda request: Response(451) if request.method == "SET_PARAMETER" else None
        for number, method in enumerate(("OPTIONS", "ANNOUNCE", "REDIRECT", "SET_PARAMETER", "DANCE")):
            server.connections[0].send(Request(method, "*", Headers.of(("CSeq", str(number)), ("Session", "s"))))
        await server.until(lambda: len(server.heard) == 6)
        answers = [response for response in server.heard if isinstance(response, Response)]
        assert [(r.status, r.cseq, r.headers.get("Session")) for r in answers] == [
            (200, 0, "s"), (200, 1, "s"), (200, 2, "s"), (451, 3, "s"), (501, 4, "s")
        ]  # fmt: skip
        assert "REDIRECT" in str(answers[0].headers.get("Public"))
        assert [request.method for request in world.asked][1:3] == ["ANNOUNCE", "REDIRECT"]
        assert not client.connection.closed

    play(scene)


def test_packets_between_the_messages(play: Play) -> None:
    async def scene(world: World) -> None:
        server, port = await world.server(lambda _: Response(200))
        client = await world.client(f"rtsp://127.0.0.1:{port}/a")
        await client.ask("OPTIONS")
        server.connections[0].send_interleaved(0, [b"one", b"two"])
        await client.ask("OPTIONS")
        assert client.send_interleaved(1, [b"three"]) == 1
        await server.until(lambda: len(server.heard) == 3)
        assert world.packets == [(0, b"one"), (0, b"two")]

    play(scene)


@pytest.mark.parametrize(
    ("public", "refuses", "methods"),
    [
        ("OPTIONS, GET_PARAMETER", False, ["GET_PARAMETER", "GET_PARAMETER"]),
        ("OPTIONS, PLAY", False, ["OPTIONS", "OPTIONS"]),
        ("OPTIONS, GET_PARAMETER", True, ["GET_PARAMETER", "OPTIONS"]),
    ],
)
def test_signs_of_life(
    play: Play, monkeypatch: pytest.MonkeyPatch, public: str, refuses: bool, methods: list[str]
) -> None:
    monkeypatch.setattr("protocol.control.client._LEAST_INTERVAL", 0.05)

    def answer(request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(200, Headers.of(("Public", public)))
        if refuses and request.method == "GET_PARAMETER":
            return Response(501)
        return Response(200, Headers.of(("Session", "abc;timeout=0")))

    async def scene(world: World) -> None:
        server, port = await world.server(answer)
        client = await world.client(f"rtsp://127.0.0.1:{port}/a")
        await client.ask("OPTIONS")
        await client.ask("SETUP", f"rtsp://127.0.0.1:{port}/a/track1")
        assert client.session is not None
        client.session = type(client.session)(client.session.identifier, 0)
        client.keep_alive()
        await server.until(lambda: len(server.heard) == 4)
        assert [request.method for request in server.heard][2:] == methods
        assert fields(server.heard[-1], "Session") == ["abc"]

    play(scene)


def test_a_session_that_is_forgotten(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("protocol.control.client._LEAST_INTERVAL", 0.05)
    monkeypatch.setattr("protocol.control.client._MOST_INTERVAL", 0.05)

    def answer(request: Request) -> Response:
        return Response(200, Headers.of(("Session", "abc"))) if request.method == "SETUP" else Response(454)

    async def scene(world: World) -> None:
        server, port = await world.server(answer)
        client = await world.client(f"rtsp://127.0.0.1:{port}/a")
        await client.ask("SETUP")
        client.keep_alive()
        await server.until(lambda: bool(server.ends))
        assert client.session is None

    assert play(scene).losses == ["the server has forgotten the session"]
