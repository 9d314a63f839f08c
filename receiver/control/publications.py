"""What others announce and send to us (RFC 2326 §10.3, §10.11): who may, and where the packets come in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from protocol import sdp
from protocol.control.connection import Connection
from protocol.described_key import is_secure
from protocol.errors import FatalError
from protocol.rtcp.range import SenderRange
from protocol.rtsp import final_range, url
from protocol.rtsp.application import Agreed, Peer, Refused, Session, Started
from protocol.rtsp.headers import Headers
from protocol.rtsp.message import Request
from protocol.rtsp.range import Npt
from protocol.rtsp.states import State
from protocol.rtsp.transport import Transport
from protocol.rtsp.url import Url
from protocol.srtp.encryption import Encryption
from receiver.config import ReceiverConfig
from receiver.control.keys import TrackKeys
from receiver.control.tracks import Track, left_out, tracks
from receiver.control.ways import TcpWay, UdpWay, Way, heard, open_pair
from receiver.network import Network

MAX_PUBLICATIONS = 64
"""at once,"""
MAX_OF_ONE = 16
"""of them from one address,"""
MAX_TRACKS = 8
"""and tracks of each: a track by UDP takes two ports of this machine."""
SILENT = 2_000_000_000
"""ns without a packet after which we say so, and whoever sent may begin anew."""
_ASKED_FOR = "asked for"


@dataclass(slots=True, eq=False)
class Publication:
    """One sender's agreement, from its first SETUP on."""

    session: Session
    tracks: Sequence[Track]
    ways: dict[str, Way] = field(default_factory=dict)
    """by the control path of the track."""
    since: int = 0
    """monotonic ns: when it began to send, or a packet came last."""
    silent: bool = False
    """we said that nothing comes."""

    @property
    def name(self) -> str:
        return self.session.path.partition("?")[0].strip("/") or "/"

    @property
    def ports(self) -> tuple[int, ...]:
        """All of its tracks'."""
        return tuple(port for way in self.ways.values() for port in way.ports)


class Publications:
    """The application behind the server. It belongs to the control thread."""

    methods = frozenset({"ANNOUNCE", "SETUP", "RECORD", "PAUSE", "TEARDOWN"})

    def __init__(
        self, config: ReceiverConfig, network: Network, post: Callable[..., None], log: Callable[[str], None]
    ) -> None:
        """`post` has the control thread call something."""
        self._config, self._network, self._post, self._log = config, network, post, log
        self.end: Callable[[str, str], None] = lambda *_: None
        """(session id, why): the server's."""
        self.alive: Callable[[str, int], None] = lambda *_: None
        """(session id, now): the server's."""
        self._publications: dict[str, Publication] = {}
        """by session id."""
        self._channels: dict[Hashable, dict[int, TcpWay]] = {}
        """by connection."""

    def __len__(self) -> int:
        """Agreements that stand."""
        return len(self._publications)

    # What may be sent

    def announce(self, where: Url, peer: Peer, user: str | None, description: sdp.SessionDescription) -> None:
        found = tracks(description, self._config)
        if len(found) > MAX_TRACKS:
            raise Refused(453, f"{len(found)} tracks, where {MAX_TRACKS} are the most")
        for track in found:
            if not track.types.formats:
                self._log(f"{_shown(where.path)} from {peer.host}: {left_out(track)}")
        if not any(track.types.formats for track in found):
            raise Refused(415, "nothing of it can be played")
        self._make_way(where.path, peer, user)

    def _make_way(self, path: str, peer: Peer, user: str | None) -> None:
        """Raises Refused while somebody sends under this name; its own sender may begin anew."""
        for running in list(self._publications.values()):
            session = running.session
            if session.path != path:
                continue
            gone = session.abandoned or time.monotonic_ns() - running.since >= SILENT
            if not gone or (session.peer.host, session.user) != (peer.host, user):
                raise Refused(403, f"{session.peer.host} is sending it")
            self.end(session.id, "its sender begins anew")

    def setup(self, session: Session, track: str, offers: Sequence[Transport], request: Request) -> Agreed:
        publication = session.context or self._open(session)
        found = _track(publication, track)
        if found is None:
            raise Refused(404, track)
        if track in publication.ways:
            raise Refused(455, "it is set up already")
        refused = "none of these: " + ", ".join(f"{offer.profile}/{offer.lower}" for offer in offers)
        for offer in offers:
            if offer.multicast or offer.secure != is_secure(found.described):
                continue
            keys = self._keys(publication, found, request) if offer.secure else None
            answer = Headers() if keys is None else keys.headers(request.url)
            encryption = None if keys is None else keys.agreed(request.headers)
            try:
                if offer.lower == "TCP":
                    return Agreed(self._by_tcp(publication, track, found, offer, encryption), answer)
                if offer.client_port is not None:
                    return Agreed(self._by_udp(publication, track, found, offer, encryption), answer)
            except FatalError as error:  # no port, no channel: another offer may do
                refused = str(error)
        raise Refused(461, refused)

    def _open(self, session: Session) -> Publication:
        if session.description is None:
            raise Refused(455, "nothing was announced")
        if len(self._publications) >= MAX_PUBLICATIONS:
            raise Refused(453, f"{MAX_PUBLICATIONS} senders")
        host = session.peer.host
        if sum(other.session.peer.host == host for other in self._publications.values()) >= MAX_OF_ONE:
            raise Refused(453, f"{MAX_OF_ONE} of one sender")
        self._make_way(session.path, session.peer, session.user)
        found = tracks(session.description, self._config)
        publication = session.context = self._publications[session.id] = Publication(session, found)
        return publication

    def _keys(self, publication: Publication, track: Track, request: Request) -> TrackKeys:
        """Raises Refused where the sender has not said with what it encrypts."""
        session = publication.session
        assert session.description is not None
        keys = TrackKeys(session.description, track.described, self._network.ssrc)
        if keys.agreed(request.headers) is None:
            raise Refused(463, "no key that can be used")
        return keys

    def _by_udp(
        self, publication: Publication, path: str, track: Track, offer: Transport, encryption: Encryption | None
    ) -> Transport:
        way = open_pair(self._network, self._config)
        publication.ways[path] = way
        way.encrypt(encryption)
        way.begin(track.types, publication.session.peer.host, offer.client_port)
        first, second = way.ports
        return replace(offer, destination=None, source=None, server_port=(first, second), rtcp_mux=False, mode="RECORD")

    def _by_tcp(
        self, publication: Publication, path: str, track: Track, offer: Transport, encryption: Encryption | None
    ) -> Transport:
        connection = publication.session.peer.connection
        assert isinstance(connection, Connection)
        used = self._channels.setdefault(connection, {})
        pair = _free_pair(used, offer.interleaved)
        way = TcpWay(self._network, connection, pair, self._post)
        publication.ways[path] = way
        used |= dict.fromkeys(pair, way)
        way.encrypt(encryption)
        way.begin(track.types)
        return replace(offer, destination=None, source=None, interleaved=pair, mode="RECORD")

    # What is sent

    def record(self, session: Session, _request: Request) -> Started:
        publication: Publication = session.context
        if session.state is not State.RECORDING:
            publication.since, publication.silent = time.monotonic_ns(), False
            self._log(f"{session.peer.host} sends {_shown(publication.name)}: {_summary(publication)}")
        for way in publication.ways.values():
            if isinstance(way, UdpWay):
                way.punch()
        return Started()

    def pause(self, session: Session) -> None:
        """What comes of it, or does not, the receiver sees by itself."""

    def take(self, connection: Connection, channel: int, packet: bytes) -> None:
        """One that came in a connection."""
        if (way := self._channels.get(connection, {}).get(channel)) is not None:
            way.take(channel, packet)

    def set_parameters(self, session: Session | None, values: Mapping[str, str]) -> None:
        unknown = values.keys() - {final_range.NAME}
        if unknown or session is None or session.context is None:
            raise Refused(451, ", ".join(sorted(unknown)))
        ports, now = session.context.ports, time.monotonic_ns()
        for one in final_range.parse(values[final_range.NAME]):
            sent = SenderRange(one.ssrc, one.first, one.last, one.count, 0, final=True)
            self._network.call(lambda receiver, sent=sent: receiver.final_range(ports, sent, now))  # type: ignore[misc]

    def get_parameters(self, _session: Session | None, names: Sequence[str]) -> Mapping[str, str]:
        raise Refused(451, ", ".join(names))

    async def look(self) -> None:
        """Who sends lives; who does not is told of. Every half second or so."""
        for publication in list(self._publications.values()):
            session = publication.session
            if session.state is not State.RECORDING:
                continue
            publication.since = max(publication.since, await heard(self._network, publication.ways.values()) or 0)
            now = time.monotonic_ns()
            if now - publication.since < SILENT:
                publication.silent = False
                self.alive(session.id, now)
            elif not publication.silent:
                publication.silent = True
                self._log(f"no packets of {_shown(publication.name)} from {session.peer.host} for 2 s")

    # Ends

    def teardown(self, session: Session, track: str | None, why: str) -> None:
        publication: Publication | None = session.context
        if publication is None:
            return
        ended = "the sender ended it" if why == _ASKED_FOR else ""
        chosen = [track] if track is not None else list(publication.ways)
        for path in chosen:
            if (way := publication.ways.pop(path, None)) is not None:
                self._close(publication, way, ended)
        if track is None:
            del self._publications[session.id]
            if publication.since:
                self._log(f"{session.peer.host} ends {_shown(publication.name)}" + ("" if ended else f": {why}"))

    def _close(self, publication: Publication, way: Way, why: str) -> None:
        connection = publication.session.peer.connection
        used = {channel: other for channel, other in self._channels.get(connection, {}).items() if other is not way}
        self._channels[connection] = used
        if not used:
            del self._channels[connection]
        way.end(why)

    def close(self) -> None:
        """The program ends: everybody's session is over, without a word."""
        for publication in list(self._publications.values()):
            self.end(publication.session.id, "closed here")

    # Nothing is played from here

    def split(self, path: str) -> tuple[str, str | None]:
        return path, None

    def describe(self, _where: Url, _peer: Peer, _user: str | None) -> bytes:
        raise Refused(404, "nothing is played from here")

    def play(self, _session: Session, _wanted: Npt | None, _request: Request) -> Started:
        raise Refused(455, "nothing is played from here")


def _track(publication: Publication, path: str) -> Track | None:
    """The one that a SETUP is for, by the path of its URL."""
    base = f"rtsp://host{publication.session.path}"
    for track in publication.tracks:
        if url.parse(url.control(base, track.control)).path == path:
            return track
    return None


def _free_pair(used: Mapping[int, TcpWay], wanted: tuple[int, int] | None) -> tuple[int, int]:
    """Channels for RTP and RTCP: those wanted, or any that are free. Raises Refused."""
    if wanted is not None and wanted[0] != wanted[1] and not used.keys() & set(wanted):
        return wanted
    for first in range(0, 256, 2):
        if first not in used and first + 1 not in used:
            return first, first + 1
    raise Refused(461, "every channel is in use")


def _summary(publication: Publication) -> str:
    chosen = {path: _track(publication, path) for path in publication.ways}
    names = ", ".join(str(track) for track in chosen.values() if track is not None and track.types.formats)
    by = "TCP" if any(isinstance(way, TcpWay) for way in publication.ways.values()) else "UDP"
    secure = any(is_secure(track.described) for track in chosen.values() if track is not None)
    how = ", encrypted" if secure else ", encrypted connection" if publication.session.peer.tls else ""
    return f"{names}, by {by}{how}"


def _shown(path: str) -> str:
    """A name that a stranger chose."""
    return path.strip("/")[:60] or "/"


async def keep_looking(publications: Publications, seconds: float = 0.5) -> None:
    """Until it is cancelled."""
    while True:
        await asyncio.sleep(seconds)
        await publications.look()
