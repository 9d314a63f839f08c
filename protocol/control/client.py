"""The client's side of RTSP: requests and their answers, over one connection to one server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from protocol.control.connect import connect
from protocol.control.connection import Connection
from protocol.control.login import Login
from protocol.control.refusal import refusal
from protocol.control.trust.secure import Trust, connect_securely
from protocol.errors import FatalError, NoPeerError, ProtocolError, ResourceError, Untrusted
from protocol.rtsp import digest
from protocol.rtsp import session as session_header
from protocol.rtsp import url as rtsp_url
from protocol.rtsp.headers import Headers
from protocol.rtsp.message import Interleaved, Message, Request, Response
from protocol.rtsp.session import Session
from protocol.rtsp.url import Url

TIMEOUT = 10.0
"""s for the answer to a request."""
MAX_REDIRECTS = 5
_TRIES = 3
"""of one request, when the server wants to know who we are: without, with, and with a newer nonce."""
_REDIRECTS = (301, 302, 305)
_USE_PROXY = 305
_LEAST_INTERVAL, _MOST_INTERVAL = 2.0, 30.0
"""s between signs of life; a third of the session's time-out in between."""
_ANSWERED = "OPTIONS, GET_PARAMETER, SET_PARAMETER, ANNOUNCE, REDIRECT, TEARDOWN"
"""requests a server may send to a client (RFC 2326 §10); SET_PARAMETER and TEARDOWN are in the field."""


def _ignore(*_: object) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Callbacks:
    """Who hears what a server says without being asked; called by the loop."""

    packet: Callable[[int, bytes], None] = _ignore
    """channel, and an RTP or RTCP packet that came interleaved."""
    request: Callable[[Request], Response | None] = _ignore
    """the server's own; None: answered as usual."""
    lost: Callable[[str], None] = _ignore
    """the connection is over, and not by `close`; why."""
    say: Callable[[str], None] = _ignore
    """a line for the person."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a client connects."""

    trust: Trust = field(default_factory=Trust)
    password: Callable[[str, str], str] | None = None
    """(user, place) → password, for a URL that holds none; may ask a person. Raises UsageError."""
    agent: str = "steadycast"
    timeout: float = TIMEOUT
    how: Mapping[str, Any] = field(default_factory=dict)
    """further arguments of `connect`."""


class RtspClient:
    """A conversation. All of it belongs to the loop's thread."""

    def __init__(self, url: Url, callbacks: Callbacks | None = None, options: Options | None = None) -> None:
        """`open` comes next."""
        self.url = url
        """of the presentation; another one after a redirect."""
        self.session: Session | None = None
        """the server's, from the first answer that names one to TEARDOWN."""
        self.public: frozenset[str] = frozenset()
        """methods the server has, once it was asked for OPTIONS."""
        self._tell = callbacks or Callbacks()
        self._options = options or Options()
        self._login: Login | None = None
        self._connection: Connection | None = None
        self._cseq = 0
        self._asked: dict[int, asyncio.Future[Response]] = {}
        self._redirects = 0
        self._keeping_alive: asyncio.Task[None] | None = None

    @property
    def connection(self) -> Connection:
        assert self._connection is not None, "open comes first"
        return self._connection

    @property
    def place(self) -> str:
        """The server, for people."""
        return f"{self.url.host}:{self.url.port}"

    async def open(self) -> None:
        """Connect to the URL's host. Raises FatalError."""
        await self._connect(self.url)

    async def request(self, method: str, url: str = "", headers: Headers | None = None, body: bytes = b"") -> Response:
        """Whatever the server answers in the end: the user and the password were given, redirects followed (unless
        there is a session). `url`: the presentation's unless given.

        Raises Untrusted for a password that is wrong, missing or not to be sent; NoPeerError where no answer comes;
        ResourceError for redirects without end.
        """
        tries = 0
        while True:
            target = url or str(self.url)
            response = await self._exchange(Request(method, target, self._headers(method, target, headers), body))
            if response.status == 401 and tries + 1 < _TRIES:
                await self._handle_challenge(response, again=tries > 0)
                tries += 1
            elif response.status in _REDIRECTS and self.session is None and "Location" in response.headers:
                await self._follow(response)
                url = url if response.status == _USE_PROXY else ""
                tries = 0
            else:
                self._learn(method, response)
                return response

    async def ask(self, method: str, url: str = "", headers: Headers | None = None, body: bytes = b"") -> Response:
        """`request`, and a FatalError of one line for everything that is not a success."""
        response = await self.request(method, url, headers, body)
        if not 200 <= response.status < 300:
            raise refusal(method, self.url, response)
        return response

    def send_interleaved(self, channel: int, datagrams: Sequence[bytes]) -> int:
        """How many of these packets the connection took."""
        return self.connection.send_interleaved(channel, datagrams)

    def keep_alive(self, url: str = "") -> None:
        """From now on show the server that we live, as long as there is a session. `url`: what was set up."""
        self._stop_keeping_alive()
        self._keeping_alive = asyncio.get_running_loop().create_task(self._keep_alive(url))

    def close(self) -> Connection | None:
        """Without another word; `lost` is not called. The connection, which is closed soon; None: there was none."""
        self._stop_keeping_alive()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        self._fail(NoPeerError(f"the connection to {self.place} was closed"))
        return connection

    # Asking

    async def _exchange(self, request: Request) -> Response:
        connection = self.connection
        if connection.closed:
            raise NoPeerError(f"the connection to {self.place} is lost")
        answered: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        cseq = request.cseq or 0
        self._asked[cseq] = answered
        try:
            connection.send(request)
            async with asyncio.timeout(self._options.timeout):
                return await answered
        except TimeoutError:
            connection.abort(f"it did not answer {request.method}")
            raise NoPeerError(
                f"{self.place} does not answer {request.method} for {self._options.timeout:.0f} s"
            ) from None
        finally:
            self._asked.pop(cseq, None)

    def _headers(self, method: str, target: str, more: Headers | None) -> Headers:
        """CSeq, and what goes with every request."""
        self._cseq += 1
        headers = Headers.of(("CSeq", str(self._cseq)), ("User-Agent", self._options.agent))
        if self.session is not None:
            headers = headers.with_("Session", self.session.identifier)
        if self._login is not None and (authorization := self._login.authorization(method, target)):
            headers = headers.with_("Authorization", authorization)
        for name, value in more or ():
            headers = headers.with_(name, value)
        return headers

    def _learn(self, method: str, response: Response) -> None:
        """What an answer tells for later."""
        if method == "TEARDOWN":
            self.session = None
            self._stop_keeping_alive()
        elif self.session is None and (text := response.headers.get("Session")):
            with contextlib.suppress(ProtocolError):
                self.session = session_header.parse(text)
        if text := response.headers.get("Public"):
            self.public = frozenset(word.strip().upper() for word in text.split(","))

    async def _handle_challenge(self, response: Response, *, again: bool) -> None:
        """401: have an answer for the next try. Raises Untrusted."""
        asked = response.headers.all("WWW-Authenticate")
        if again and not _is_stale(asked):
            raise Untrusted(f"{self.place} does not take the password of {self.url.user}")
        try:
            if self._login is None:
                self._login = await self._make_login()
            self._login.handle_challenge(asked)
        except ProtocolError as error:
            raise Untrusted(f"{self.place}: {error}") from error

    async def _make_login(self) -> Login:
        user, password = self.url.user, self.url.password
        if not user:
            raise Untrusted(
                f"{self.place} wants to know who we are: write {self.url.scheme}://USER@{self.url.host}, and give"
                " --password-file FILE"
            )
        if password is None:
            if self._options.password is None:
                raise Untrusted(f"{self.place} wants the password of {user}")
            password = await asyncio.to_thread(self._options.password, user, self.place)
        return Login(user, password, tls=self.connection.tls)

    # Elsewhere

    async def _connect(self, url: Url) -> None:
        options = self._options
        if url.secure:
            await connect_securely(url.host, url.port, self._stand, options.trust, self._tell.say, **options.how)
        else:
            await connect(url.host, url.port, self._stand, **options.how)

    def _stand(self, connection: Connection) -> RtspClient:
        self._connection = connection
        return self

    async def _follow(self, response: Response) -> None:
        """A redirect. Our user goes along to the same host only, and nothing to one that would not hide it."""
        self._redirects += 1
        if self._redirects > MAX_REDIRECTS:
            raise ResourceError(f"{self.place} sends us on for the {self._redirects}th time: it leads nowhere")
        location = response.headers.get("Location") or ""
        try:
            to = rtsp_url.parse(location)
        except ProtocolError as error:
            raise ResourceError(f"{self.place} sends us to {location[:100]!r}, which is no address") from error
        if self.url.secure and not to.secure:
            raise Untrusted(f"{self.place} sends us to {to}, without encryption: that could be anybody's word")
        if to.user is None and to.host == self.url.host:
            to = replace(to, user=self.url.user, password=self.url.password)
        self._tell.say(f"{self.place} sends us to {to}")
        before, self._connection = self.connection, None
        before.close()
        self._login = None
        await self._connect(to)
        self.url = to if response.status != _USE_PROXY else self.url

    # What comes

    def received(self, connection: Connection, message: Message) -> None:
        """Called by the connection."""
        if connection is not self._connection:
            return
        if isinstance(message, Interleaved):
            self._tell.packet(message.channel, message.data)
        elif isinstance(message, Response):
            self._handle_response(message)
        else:
            connection.send(self._answer(message))

    def lost(self, connection: Connection, why: str) -> None:
        """Called by the connection."""
        if connection is not self._connection:
            return
        self._stop_keeping_alive()
        self._fail(NoPeerError(f"the connection to {self.place} is lost: {why}"))
        self._tell.lost(why)

    def _handle_response(self, response: Response) -> None:
        """Of the request with its number; servers that give none answer in order. 100 says that more will come."""
        if response.status < 200:
            return
        cseq = response.cseq if response.cseq is not None else next(iter(self._asked), None)
        answered = None if cseq is None else self._asked.pop(cseq, None)
        if answered is not None and not answered.done():
            answered.set_result(response)

    def _answer(self, request: Request) -> Response:
        response = self._tell.request(request) or _usual_answer(request)
        for name in ("Session", "CSeq"):
            if (value := request.headers.get(name)) is not None and name not in response.headers:
                response = replace(response, headers=Headers.of((name, value)).plus(response.headers))
        return response

    def _fail(self, error: FatalError) -> None:
        for answered in self._asked.values():
            if not answered.done():
                answered.set_exception(error)

    # Signs of life

    async def _keep_alive(self, url: str) -> None:
        """GET_PARAMETER where the server says that it knows it, else OPTIONS (RFC 2326 §10.8, §12.37)."""
        method = "GET_PARAMETER" if "GET_PARAMETER" in self.public else "OPTIONS"
        while self.session is not None:
            await asyncio.sleep(min(_MOST_INTERVAL, max(_LEAST_INTERVAL, self.session.timeout / 3)))
            try:
                response = await self.request(method, url)
            except FatalError:
                return  # the connection is lost, and whoever waits for that was told
            if response.status == 454:
                self.session = None
                self.close()
                self._tell.lost("the server has forgotten the session")
            elif response.status >= 400 and method != "OPTIONS":
                method = "OPTIONS"

    def _stop_keeping_alive(self) -> None:
        task, self._keeping_alive = self._keeping_alive, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()


def _is_stale(challenges: Sequence[str]) -> bool:
    return any(challenge.stale for challenge in digest.parse(challenges))


def _usual_answer(request: Request) -> Response:
    if request.method == "OPTIONS":
        return Response(200, Headers.of(("Public", _ANSWERED)))
    return Response(200 if request.method in _ANSWERED.split(", ") else 501)
