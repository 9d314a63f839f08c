"""All sessions of a program that listens: requests in, responses out (RFC 2326). Sans-IO.

It knows who may ask what when: CSeq, Session, Require, methods, states, users, time-outs. What is asked for, the
application gives (`protocol.rtsp.application`). A session outlives its connection for a moment where its media do not
run through it, and belongs to the address and the user that made it.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from protocol import sdp
from protocol.errors import ProtocolError
from protocol.rtsp import range as npt
from protocol.rtsp import session as session_header
from protocol.rtsp import states, transport, url
from protocol.rtsp.application import Application, Peer, Refused, Session
from protocol.rtsp.headers import Headers
from protocol.rtsp.message import Request, Response
from protocol.rtsp.states import State
from protocol.rtsp.url import Url

TIMEOUT_S = 60
"""s without a sign of life after which a session ends; told to clients (§12.37)."""
MAX_SESSIONS = 4096
MAX_SESSIONS_OF_ONE = 8
"""that one connection may open; and that one address may leave behind without their having begun."""
MAX_TRACKS = 16
"""of a session."""
MAX_ANNOUNCED = 32
"""descriptions that wait for a SETUP; of more, the oldest of the address with most of them are forgotten."""
MAX_DESCRIPTION = 32_768
"""bytes of what is announced,"""
MAX_LINE_ENDS = 1000
"""and CRs and LFs in it: lines cost more than their bytes."""
_SECOND = 1_000_000_000
_ABANDONED = 10 * _SECOND
"""ns that a session whose connection is lost may be silent."""
_ALWAYS = ("OPTIONS", "GET_PARAMETER", "SET_PARAMETER")
_PARAMETERS = "text/parameters"
_SDP = "application/sdp"
_LOST = "its connection was lost"
_OURS = Headers.of(("Server", "Steadycast"))
"""by which two of ours know each other."""
_MAX_WRONG = 10
"""wrong passwords on one connection, after which it is closed."""


class Guard(Protocol):
    """Who may come in; `protocol.rtsp.digest.Challenger`."""

    def challenges(self, now: int, *, stale: bool = False, peer: str = "", tls: bool = False) -> list[str]:
        """The values of WWW-Authenticate."""

    def check(
        self, authorization: str, method: str, now: int, *, uri: str | None = None, peer: str = "", tls: bool = False
    ) -> str:
        """The user. Raises ProtocolError."""


@dataclass(frozen=True, slots=True)
class _Announced:
    """What a connection has announced and not set up yet."""

    path: str
    description: sdp.SessionDescription
    host: str


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request with what was found out about it."""

    request: Request
    peer: Peer
    user: str | None
    now: int
    session: Session | None

    @property
    def url(self) -> Url:
        return url.parse(self.request.url)


class Server:
    """Drive it with `handle` for each request, `lost` for each connection that ends, and `handle_timeout`."""

    def __init__(
        self,
        application: Application,
        *,
        guard: Guard | None = None,
        token: Callable[[], str] = lambda: secrets.token_hex(16),
        on_refused: Callable[[Peer, Request, Refused], None] = lambda *_: None,
    ) -> None:
        """`guard`: None lets everybody in. `token` makes session ids, which must not be guessed (§12.37).
        `on_refused` hears of what was answered with an error."""
        self._application = application
        self._guard = guard
        self._token = token
        self._on_refused = on_refused
        self._sessions: dict[str, Session] = {}
        self._announced: dict[Hashable, _Announced] = {}
        """connection → path and description, until SETUP makes a session of them."""
        self._wrong: dict[Hashable, int] = {}
        """connection → passwords that were wrong."""
        self._methods: Mapping[str, Callable[[_Asked], Response]] = {
            "OPTIONS": self._options,
            "DESCRIBE": self._describe,
            "ANNOUNCE": self._announce,
            "SETUP": self._setup,
            "PLAY": self._play,
            "RECORD": self._record,
            "PAUSE": self._pause,
            "TEARDOWN": self._teardown,
            "GET_PARAMETER": self._get_parameter,
            "SET_PARAMETER": self._set_parameter,
        }

    # In

    def handle(self, peer: Peer, request: Request, now: int) -> Response:
        """The answer. `Connection: close` in it: nothing more is wanted from this peer. `now`: monotonic ns."""
        try:
            response = self._answer(peer, request, now)
        except ProtocolError as error:
            refused = error if isinstance(error, Refused) else Refused(400, str(error))
            self._on_refused(peer, request, refused)
            response = Response(refused.status, refused.headers)
        cseq = request.headers.get("CSeq")
        response = replace(response, headers=response.headers.plus(_OURS))
        return response if cseq is None else _with(response, Headers.of(("CSeq", cseq)))

    def lost(self, peer: Peer, now: int) -> None:
        """This connection has ended: what runs through it ends, what runs by UDP has some seconds to come back."""
        self._announced.pop(peer.connection, None)
        self._wrong.pop(peer.connection, None)
        for session in list(self._sessions.values()):
            if session.peer.connection != peer.connection:
                continue
            session.heard, session.abandoned = now, True
            if session.interleaved:
                self._end(session, _LOST)
        left = [each for each in self._sessions.values() if each.abandoned and each.peer.host == peer.host]
        for session in [each for each in left if each.state is State.READY][:-MAX_SESSIONS_OF_ONE]:
            self._end(session, _LOST)

    def alive(self, session_id: str, now: int) -> None:
        """A sign of life that was no request: RTCP, or media."""
        if (session := self._sessions.get(session_id)) is not None:
            session.heard = max(session.heard, now)

    def handle_timeout(self, now: int) -> None:
        """Ends the sessions that were silent too long."""
        for session in list(self._sessions.values()):
            if now >= self._ends_at(session):
                lost = _LOST if session.abandoned else f"no sign of life for {TIMEOUT_S} s"
                self._end(session, lost)

    def next_timeout(self) -> int | None:
        """Monotonic ns of the next `handle_timeout`; None: there is no session."""
        return min(map(self._ends_at, self._sessions.values()), default=None)

    def end(self, session_id: str, why: str) -> None:
        """The program itself ends a session."""
        if (session := self._sessions.get(session_id)) is not None:
            self._end(session, why)

    @property
    def sessions(self) -> tuple[Session, ...]:
        """Those that live, for reading."""
        return tuple(self._sessions.values())

    # What holds for every request

    def _answer(self, peer: Peer, request: Request, now: int) -> Response:
        if request.cseq is None:
            raise Refused(400, "no CSeq")
        if (required := request.headers.get("Require")) is not None:
            raise Refused(551, f"requires {required}", Headers.of(("Unsupported", required)))
        if request.method not in states.KNOWN:
            raise Refused(501, request.method)
        if request.method not in self._served():
            raise Refused(405, request.method, Headers.of(("Allow", ", ".join(self._served()))))
        user = self._user(peer, request, now) if _tells_something(request) else None
        session = self._session(peer, request, user, now)
        state = State.INIT if session is None else session.state
        if request.method not in states.STATELESS and request.method not in states.allowed(state):
            raise Refused(455 if session else 454, f"{request.method} while {state.value}", _allow(state))
        response = self._methods[request.method](_Asked(request, peer, user, now, session))
        if session is not None and session.id in self._sessions:
            response = _with(response, Headers.of(("Session", _named(session))))
        return response

    def _served(self) -> tuple[str, ...]:
        wanted = {*_ALWAYS, *self._application.methods}
        return tuple(method for method in self._methods if method in wanted)

    def _user(self, peer: Peer, request: Request, now: int) -> str | None:
        """Who asks. Raises Refused for those who do not say, or not rightly."""
        if self._guard is None:
            return None
        authorization = request.headers.get("Authorization")
        if authorization is None:
            raise Refused(401, "no user", _challenge(self._guard.challenges(now, peer=peer.host, tls=peer.tls)))
        try:
            return self._guard.check(authorization, request.method, now, uri=request.url, peer=peer.host, tls=peer.tls)
        except ProtocolError as error:
            stale = error.reason == "stale_nonce"
            self._count_wrong(peer, stale)
            headers = _challenge(self._guard.challenges(now, stale=stale, peer=peer.host, tls=peer.tls))
            if self._wrong.get(peer.connection, 0) >= _MAX_WRONG:
                headers = headers.with_("Connection", "close")
            raise Refused(401, str(error), headers) from None

    def _count_wrong(self, peer: Peer, stale: bool) -> None:
        if not stale:
            self._wrong[peer.connection] = self._wrong.get(peer.connection, 0) + 1

    def _session(self, peer: Peer, request: Request, user: str | None, now: int) -> Session | None:
        """The one that is named. Raises Refused(454) where it is unknown, or somebody else's."""
        header = request.headers.get("Session")
        if header is None:
            return None
        session = self._sessions.get(session_header.parse(header).identifier)
        if session is None or session.peer.host != peer.host or session.user != user:
            raise Refused(454, "no such session")
        if session.peer.connection != peer.connection and not session.interleaved:
            self._make_room(peer)
            session.peer = peer
        session.heard, session.abandoned = now, False
        return session

    def _make_room(self, peer: Peer) -> None:
        """For one more session of this connection, opened or taken on. Raises Refused(453)."""
        mine = sum(session.peer.connection == peer.connection for session in self._sessions.values())
        if mine >= MAX_SESSIONS_OF_ONE:
            raise Refused(453, f"{mine} sessions of one connection")

    # Methods

    def _options(self, _: _Asked) -> Response:
        return Response(200, Headers.of(("Public", ", ".join(self._served()))))

    def _describe(self, asked: _Asked) -> Response:
        accepted = asked.request.headers.get("Accept")
        if accepted is not None and _SDP not in accepted.lower() and "*/*" not in accepted:
            raise Refused(406, accepted)
        body = self._application.describe(asked.url, asked.peer, asked.user)
        base = asked.request.url.rstrip("/") + "/"
        return Response(200, Headers.of(("Content-Base", base), ("Content-Type", _SDP)), body)

    def _announce(self, asked: _Asked) -> Response:
        kind = (asked.request.headers.get("Content-Type") or _SDP).partition(";")[0].strip().lower()
        if kind != _SDP:
            raise Refused(415, kind)
        if asked.session is not None:
            raise Refused(455, "ANNOUNCE of what is set up already", _allow(asked.session.state))
        body = asked.request.body
        if len(body) > MAX_DESCRIPTION or body.count(b"\n") + body.count(b"\r") > MAX_LINE_ENDS:
            raise Refused(413, f"a description of {len(body)} bytes")
        description = sdp.parse(body)
        self._application.announce(asked.url, asked.peer, asked.user, description)
        self._announced.pop(asked.peer.connection, None)
        self._keep_announced(asked.peer, asked.url.path, description)
        return Response(200)

    def _keep_announced(self, peer: Peer, path: str, description: sdp.SessionDescription) -> None:
        """Until it is set up. Where too many wait, the address with most of them has its oldest forgotten."""
        self._announced[peer.connection] = _Announced(path, description, peer.host)
        if len(self._announced) > MAX_ANNOUNCED:
            most = Counter(each.host for each in self._announced.values()).most_common(1)[0][0]
            del self._announced[next(key for key, each in self._announced.items() if each.host == most)]

    def _setup(self, asked: _Asked) -> Response:
        text = asked.request.headers.get("Transport")
        offers = [] if text is None else transport.parse(text)
        if not offers:
            raise Refused(461, f"Transport: {text}")
        path, track = self._split(asked)
        if track is None:
            raise Refused(459, "SETUP of the whole: each track by itself")
        session = asked.session
        if session is not None and session.path != path:
            raise Refused(459, f"{path} beside {session.path}")
        if session is not None and len(session.tracks) >= MAX_TRACKS and track not in session.tracks:
            raise Refused(453, f"{MAX_TRACKS} tracks")
        new = session is None
        session = session or self._open(asked, path)
        try:
            agreed = self._application.setup(session, track, offers, asked.request)
        except ProtocolError:
            if new:
                self._end(session, "it could not be set up")
                if session.description is not None:  # another transport may do
                    self._keep_announced(asked.peer, path, session.description)
            raise
        session.tracks[track] = agreed.transport
        session.state = states.after(session.state, "SETUP")
        headers = Headers.of(
            ("Session", _named(session)),
            ("Transport", transport.serialize([agreed.transport])),
        )
        return _with(Response(200, headers), agreed.headers)

    def _split(self, asked: _Asked) -> tuple[str, str | None]:
        """Where something was announced, below it; else as the application has it."""
        waiting = self._announced.get(asked.peer.connection)
        announced = None if waiting is None else waiting.path
        if asked.session is not None and asked.session.description is not None:
            announced = asked.session.path
        path = asked.url.path
        if announced is None:
            return self._application.split(path)
        return announced, path if path.startswith(announced.rstrip("/") + "/") else None

    def _open(self, asked: _Asked, path: str) -> Session:
        if len(self._sessions) >= MAX_SESSIONS:
            raise Refused(453, f"{MAX_SESSIONS} sessions")
        self._make_room(asked.peer)
        session = Session(self._token(), asked.peer, path, asked.user, heard=asked.now)
        announced = self._announced.get(asked.peer.connection)
        if announced is not None and announced.path == path:
            session.description = self._announced.pop(asked.peer.connection).description
        self._sessions[session.id] = session
        return session

    def _play(self, asked: _Asked) -> Response:
        session = self._whole(asked)
        if session.description is not None:
            raise Refused(455, "PLAY of what was announced", _allow(session.state))
        text = asked.request.headers.get("Range")
        started = self._application.play(session, None if text is None else npt.parse(text), asked.request)
        session.state = states.after(session.state, "PLAY")
        headers = started.headers
        if started.range is not None:
            headers = Headers.of(("Range", npt.serialize(started.range)), *headers)
        return Response(200, headers)

    def _record(self, asked: _Asked) -> Response:
        session = self._whole(asked)
        if session.description is None:
            raise Refused(455, "RECORD of what was not announced", _allow(session.state))
        started = self._application.record(session, asked.request)
        session.state = states.after(session.state, "RECORD")
        return Response(200, started.headers)

    def _pause(self, asked: _Asked) -> Response:
        session = self._whole(asked)
        self._application.pause(session)
        session.state = states.after(session.state, "PAUSE")
        return Response(200)

    def _teardown(self, asked: _Asked) -> Response:
        session = asked.session
        if session is None:
            raise Refused(454, "TEARDOWN of nothing")
        _, track = self._split(asked)
        if track in session.tracks and len(session.tracks) > 1:
            del session.tracks[track]
            self._application.teardown(session, track, "asked for")
        else:
            self._end(session, "asked for")
        return Response(200)

    def _get_parameter(self, asked: _Asked) -> Response:
        names = [line.strip().rstrip(":") for line in _lines(asked.request)]
        if not names:
            return Response(200)
        values = self._application.get_parameters(asked.session, names)
        body = "".join(f"{name}: {value}\r\n" for name, value in values.items()).encode()
        return Response(200, Headers.of(("Content-Type", _PARAMETERS)), body)

    def _set_parameter(self, asked: _Asked) -> Response:
        pairs = [line.partition(":") for line in _lines(asked.request)]
        values = {name.strip().lower(): value.strip() for name, colon, value in pairs if colon}
        if values:
            self._application.set_parameters(asked.session, values)
        return Response(200)

    def _whole(self, asked: _Asked) -> Session:
        """The session, where the request is about all of it: by its own URL, or that of its only track (§14.3)."""
        session = asked.session
        if session is None:
            raise Refused(454, f"{asked.request.method} without a session")
        path, track = self._split(asked)
        if path != session.path:
            raise Refused(404, path)
        if track is not None and len(session.tracks) > 1:
            raise Refused(460, "one track of several")
        return session

    # Ends

    def _ends_at(self, session: Session) -> int:
        return session.heard + (_ABANDONED if session.abandoned else TIMEOUT_S * _SECOND)

    def _end(self, session: Session, why: str) -> None:
        if self._sessions.pop(session.id, None) is not None:
            session.state = State.INIT
            self._application.teardown(session, None, why)


def _tells_something(request: Request) -> bool:
    """Whether only users may ask it. OPTIONS may be asked by all; with a session it is its user's sign of life."""
    return request.method != "OPTIONS" or "Session" in request.headers


def _with(response: Response, more: Headers) -> Response:
    """More headers, the new ones first."""
    return replace(response, headers=more.plus(response.headers))


def _named(session: Session) -> str:
    return session_header.serialize(session_header.Session(session.id, TIMEOUT_S))


def _allow(state: State) -> Headers:
    return Headers.of(("Allow", ", ".join(sorted(states.allowed(state)))))


def _challenge(values: list[str]) -> Headers:
    return Headers.of(*(("WWW-Authenticate", value) for value in values))


def _lines(request: Request) -> list[str]:
    """Of a body of parameters. Raises Refused(415) for another kind."""
    kind = (request.headers.get("Content-Type") or _PARAMETERS).partition(";")[0].strip().lower()
    if request.body and kind != _PARAMETERS:
        raise Refused(415, kind)
    return [line for line in request.body.decode(errors="replace").splitlines() if line.strip()]
