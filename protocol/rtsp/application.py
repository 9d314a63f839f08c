"""What a listening program has to offer to RTSP clients: the other side of `protocol.rtsp.server`."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from protocol.errors import ProtocolError
from protocol.rtsp.headers import Headers
from protocol.rtsp.message import Request
from protocol.rtsp.range import Npt
from protocol.rtsp.states import State
from protocol.rtsp.transport import Transport
from protocol.rtsp.url import Url
from protocol.sdp import SessionDescription


class Refused(ProtocolError):
    """The request is answered with an error status (RFC 2326 §11)."""

    def __init__(self, status: int, why: str = "", headers: Headers | None = None) -> None:
        """`why` is for the log; the client gets the status and `headers`."""
        super().__init__(f"rtsp_{status}", why)
        self.status, self.why = status, why
        self.headers = Headers() if headers is None else headers


@dataclass(frozen=True, slots=True)
class Peer:
    """A client's connection."""

    connection: Hashable
    """which one it is, among those that are open."""
    host: str
    """its address."""
    tls: bool = False
    port: int = 0
    local_host: str = ""
    """the address of ours that it speaks to."""


@dataclass(slots=True, eq=False)
class Session:
    """One client's agreement (RFC 2326 §12.37). The server keeps it; the application may hang things on `context`."""

    id: str
    peer: Peer
    """whoever spoke for it last; where media run through its connection, whoever opened that."""
    path: str
    """of the presentation, without the track."""
    user: str | None
    state: State = State.INIT
    tracks: dict[str, Transport] = field(default_factory=dict)
    """control path of each track that was set up → what was agreed on."""
    description: SessionDescription | None = None
    """what was announced, by a client that is to send."""
    context: Any = None
    heard: int = 0
    """monotonic ns of the last sign of life."""
    abandoned: bool = False
    """its connection is lost."""

    @property
    def interleaved(self) -> bool:
        """Media run through the connection: it ends with that one, whoever else speaks for it."""
        return any(agreed.lower == "TCP" for agreed in self.tracks.values())


@dataclass(frozen=True, slots=True)
class Agreed:
    """The answer to SETUP."""

    transport: Transport
    headers: Headers = field(default_factory=Headers)


@dataclass(frozen=True, slots=True)
class Started:
    """The answer to PLAY."""

    range: Npt | None = None
    headers: Headers = field(default_factory=Headers)
    """RTP-Info and its like."""


class Application(Protocol):
    """Called on the thread that drives the server, which waits: answer at once. Any may raise `Refused`."""

    methods: frozenset[str]
    """that are served, besides OPTIONS, GET_PARAMETER and SET_PARAMETER."""

    def split(self, path: str) -> tuple[str, str | None]:
        """The path of a URL → (of the presentation, of the track in it; None: the URL is the presentation's)."""

    def describe(self, url: Url, peer: Peer, user: str | None) -> bytes:
        """The SDP; control URLs in it are relative to `url`."""

    def announce(self, url: Url, peer: Peer, user: str | None, description: SessionDescription) -> None:
        """Whether a client may send this; the SETUP that follows has it as `session.description`."""

    def setup(self, session: Session, track: str, offers: Sequence[Transport], request: Request) -> Agreed:
        """Choose among the offers (most wanted first) for a track. Raises Refused(461) where none will do."""

    def play(self, session: Session, wanted: Npt | None, request: Request) -> Started:
        """All tracks of the session, from `wanted` on; None: from where it stands."""

    def record(self, session: Session, request: Request) -> Started: ...

    def pause(self, session: Session) -> None: ...

    def set_parameters(self, session: Session | None, values: Mapping[str, str]) -> None:
        """Raises Refused(451) for what is not known."""

    def get_parameters(self, session: Session | None, names: Sequence[str]) -> Mapping[str, str]:
        """Raises Refused(451) for what is not known."""

    def teardown(self, session: Session, track: str | None, why: str) -> None:
        """The session is over, or one track of it."""
