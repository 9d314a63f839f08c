"""Which receiver a datagram is from that came to a port which all of them share; sans-IO.

Receivers say at which ports of their address they listen. A NAT in between, or a program with other habits, sends from
others: then what a report is about tells whose it is, and datagrams that are meant only to open the way (before there
is anything to report) are taken in the order in which the tracks were set up. What goes to that track goes there from
then on (symmetric RTP, RFC 4961). Never to another address: whoever can forge one datagram must not be able to point a
stream at somebody else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from protocol.errors import ProtocolError
from protocol.rtcp import compound, repair_offer
from protocol.rtcp import range as sender_range
from protocol.rtcp.app import App
from protocol.rtcp.fir import FullIntraRequest
from protocol.rtcp.nack import Nack
from protocol.rtcp.pli import PictureLossIndication
from protocol.rtcp.rr import ReceiverReport
from protocol.rtcp.sr import SenderReport
from sender.paths import Path
from sender.resolve import SocketAddress

Place = tuple[int, str, int]
"""(key of our socket, the other end's host, its port)"""


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """One stream to one receiver."""

    ssrcs: Collection[int]
    """what reports about it name."""
    rtp: Path
    rtcp: Path
    """the same where both share a port."""


class Clients:
    """All receivers behind shared ports."""

    def __init__(self, move: Callable[[Path, SocketAddress], None]) -> None:
        """`move` makes a path lead elsewhere."""
        self._lead = move
        self._tracks: dict[int, list[Track]] = {}
        self._hosts: dict[str, list[int]] = {}
        self._known: dict[Place, int] = {}
        self._unheard: dict[int, list[Path]] = {}
        """paths from whose ends nothing has come yet."""

    def add(self, key: int, track: Track) -> None:
        """A track more of a receiver, by its target's key, in the order of their setting up."""
        self._tracks.setdefault(key, []).append(track)
        for path in dict.fromkeys((track.rtp, track.rtcp)):
            self._unheard.setdefault(key, []).append(path)
            self._known[_place(path.socket, path.address)] = key
            keys = self._hosts.setdefault(path.address[0], [])
            if key not in keys:
                keys.append(key)

    @contextmanager
    def moving(self, key: int) -> Iterator[None]:
        """Its paths lead elsewhere afterwards. What else comes from there is no sign of life that was waited for."""
        tracks = [*self._tracks.get(key, ())]
        self.remove(key)
        yield
        for track in tracks:
            self.add(key, track)
        self._unheard.pop(key, None)

    def remove(self, key: int) -> None:
        """It has left."""
        tracks = self._tracks.pop(key, ())
        self._unheard.pop(key, None)
        for path in (path for track in tracks for path in (track.rtp, track.rtcp)):
            place = _place(path.socket, path.address)
            if self._known.get(place) == key:
                del self._known[place]
            keys = self._hosts.get(path.address[0], [])
            if key in keys:
                keys.remove(key)
            if not keys:
                self._hosts.pop(path.address[0], None)

    def find(self, socket: int, source: SocketAddress, datagrams: Sequence[bytes]) -> int | None:
        """The key of the receiver from which these came, to our socket with that key; None: from nobody we know."""
        place = _place(socket, source)
        key = self._known.get(place)
        if key is not None:
            self._hear(key, place)
            return key
        neighbours = self._hosts.get(source[0])
        if not neighbours:
            return None
        found = self._named(neighbours, socket, datagrams) or self._guessed(neighbours, socket)
        if found is None:
            return None
        key, path = found
        self._move(key, path, source)
        return key

    def _hear(self, key: int, place: Place) -> None:
        """This one is where it said."""
        if unheard := self._unheard.get(key):
            unheard[:] = [path for path in unheard if _place(path.socket, path.address) != place]

    def _named(self, keys: Sequence[int], socket: int, datagrams: Sequence[bytes]) -> tuple[int, Path] | None:
        """By the SSRCs that their reports are about."""
        subjects = {ssrc for datagram in datagrams for ssrc in _subjects(datagram)}
        for key in keys:
            for track in self._tracks[key]:
                if not subjects.isdisjoint(track.ssrcs) and (path := _path(track, socket)) is not None:
                    return key, path
        return None

    def _guessed(self, keys: Sequence[int], socket: int) -> tuple[int, Path] | None:
        """The first path that waits for a sign of life, if it can only be one receiver's."""
        waiting = [(key, path) for key in keys for path in self._unheard.get(key, ()) if path.socket == socket]
        return waiting[0] if waiting and len({key for key, _ in waiting}) == 1 else None

    def _move(self, key: int, path: Path, source: SocketAddress) -> None:
        old = _place(path.socket, path.address)
        if self._known.get(old) == key:
            del self._known[old]
        self._lead(path, source)
        place = _place(path.socket, source)
        self._known[place] = key
        self._hear(key, place)


def _place(socket: int, address: SocketAddress) -> Place:
    return socket, address[0], address[1]


def _path(track: Track, socket: int) -> Path | None:
    """The track's path through this socket of ours."""
    return next((path for path in (track.rtp, track.rtcp) if path.socket == socket), None)


def _subjects(datagram: bytes) -> Iterator[int]:
    """SSRCs of media that RTCP in a datagram is about; none where it is something else."""
    if len(datagram) < 8 or not 192 <= datagram[1] <= 223:
        return
    try:
        packets = compound.parse(datagram)
    except ProtocolError:
        return
    for packet in packets:
        match packet:
            case ReceiverReport(reports=reports) | SenderReport(reports=reports):
                yield from (block.ssrc for block in reports)
            case PictureLossIndication(media_ssrc=ssrc) | Nack(media_ssrc=ssrc):
                yield ssrc
            case FullIntraRequest(entries=entries):
                yield from (ssrc for ssrc, _ in entries)
            case App():
                yield from _subject_of_app(packet)


def _subject_of_app(packet: App) -> Iterator[int]:
    try:
        message = sender_range.parse(packet) or repair_offer.parse(packet)
    except ProtocolError:
        return
    if isinstance(message, sender_range.RangeAcknowledgement | repair_offer.RepairOffer):
        yield message.media_ssrc
