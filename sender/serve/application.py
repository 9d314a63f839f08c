"""What RTSP clients may ask of `serve`, and what the network thread is told for it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeVar

from protocol import key_management
from protocol.errors import FatalError
from protocol.rtsp import rtp_info
from protocol.rtsp.application import Agreed, Peer, Refused, Session, Started
from protocol.rtsp.headers import Headers
from protocol.rtsp.message import Request
from protocol.rtsp.range import Npt
from protocol.rtsp.rtp_info import RtpInfo
from protocol.rtsp.transport import Transport
from protocol.rtsp.url import Url
from sender.last_words import last_words
from sender.network import Network
from sender.programme import Programme
from sender.serve.agreeing import Agreeing
from sender.serve.config import ServeConfig
from sender.serve.conversation import Conversation
from sender.serve.delivery import Agreement, Delivery
from sender.serve.presentation import Presentation
from sender.session import SenderSession
from sender.session_description import describe, track_name
from sender.session_maker import SessionMaker

T = TypeVar("T")
_PATIENCE_S = 0.5
"""for an answer of the network thread, which has one within milliseconds."""
_ASKED_FOR = "asked for"
_CLOSE_S = 0.5
"""to where somebody wants to be: it is no other place."""


class Served:
    """An `Application`. It belongs to the control thread."""

    methods = frozenset({"DESCRIBE", "SETUP", "PLAY", "PAUSE", "TEARDOWN"})

    def __init__(
        self,
        config: ServeConfig,
        network: Network,
        presentation: Presentation,
        agreeing: Agreeing,
        *,
        cname: str,
        log: Callable[[str], None],
    ) -> None:
        self._config, self._network, self._presentation, self._agreeing = config, network, presentation, agreeing
        self._cname, self._log = cname, log
        self._numbers = random.Random()
        self._session_id = time.time_ns() // 1_000_000_000
        self._tracks = [track_name(feed) for feed in range(len(presentation.forms))]
        self._playing: set[Hashable] = set()
        """sessions that want media now."""
        self._afterwards: list[Callable[[], object]] = []
        self._last_words: str | None = None
        presentation.changed = self._change

    def take_afterwards(self) -> list[Callable[[], object]]:
        """What is to be done once the answer is on its way."""
        todo, self._afterwards = self._afterwards, []
        return todo

    def take_last_words(self) -> str | None:
        """What the one who is torn down is told: the final ranges of its streams."""
        words, self._last_words = self._last_words, None
        return words or None

    # What there is

    def split(self, path: str) -> tuple[str, str | None]:
        """The name may be left out."""
        own, plain = self._config.path, path.partition("?")[0].rstrip("/")
        for root in (own, ""):
            if plain == root:
                return own, None
            if plain.startswith(root + "/") and plain[len(root) + 1 :] in self._tracks:
                return own, plain[len(root) + 1 :]
        raise Refused(404, path)

    def describe(self, url: Url, peer: Peer, _user: str | None) -> bytes:
        if self.split(url.path)[1] is not None:
            raise Refused(404, url.path)
        assert isinstance(peer.connection, Conversation)
        told = self._agreeing.introduce(peer.connection)
        keys = [key for _, key in told] if peer.tls and _knows_mikey(peer.connection.agent) else None
        span = Npt() if self._presentation.live else Npt(0.0, self._presentation.duration)
        streams = [stream for stream, _ in told]
        return describe(streams, span, peer.local_host, cname=self._cname, session_id=self._session_id, keys=keys)

    def announce(self, *_: object) -> None:
        raise Refused(405, "nothing is taken here")

    def record(self, *_: object) -> Started:
        raise Refused(405, "nothing is taken here")

    # What is agreed on

    def setup(self, session: Session, track: str, offers: Sequence[Transport], request: Request) -> Agreed:
        agreement: Agreement | None = session.context
        delivery = None if agreement is None else agreement.delivery
        if delivery is not None and delivery.session is not None and not delivery.multicast:
            raise Refused(455, "one more track while media flow")
        theirs = key_management.offered(request.headers) if session.peer.tls else None
        found = self._agreeing.agree(session, delivery, self._tracks.index(track), offers, theirs)
        if found is None and theirs is None and key_management.HEADER in request.headers:
            raise Refused(463, "no key that can be used, or no TLS to protect it")
        if found is None:
            raise Refused(461, request.headers.get("Transport") or "")
        if agreement is None:
            session.context = Agreement(found[0], "Steadycast" in (request.headers.get("User-Agent") or ""))
        delivery, transport = found
        at_ports = delivery.setups[track].track()
        if at_ports is not None and not delivery.multicast:
            # What opens the way through a NAT may be here a moment after the answer.
            self._ask(lambda: self._network.transport.welcome(delivery.key, at_ports))
        keys = delivery.setups[track].keys
        return Agreed(transport, Headers() if keys is None else key_management.telling(keys.ours, request.url))

    # What flows

    def play(self, session: Session, wanted: Npt | None, request: Request) -> Started:
        delivery, network = _delivery(session), self._network
        now = time.monotonic_ns()
        position = self._position(session, wanted, now)
        if not self._is_open(delivery):
            self._begin(delivery, session.context.ours, now)
        else:
            join = network.refresh if delivery.players else network.play
            self._afterwards.append(lambda: network.call(lambda _: join(delivery.key)))
        if session.id not in self._playing:
            self._log(f"{delivery.name} plays")
        delivery.players[session.id] = session
        self._playing.add(session.id)
        self._afterwards.append(lambda: self._run(position))
        span = Npt()
        if not self._presentation.live:
            span = Npt(self._presentation.position(now) if position is None else position, self._presentation.duration)
        return Started(span, Headers.of(("RTP-Info", rtp_info.serialize(self._infos(session, request, now)))))

    def _position(self, session: Session, wanted: Npt | None, now: int) -> float | None:
        """Where in a file the one viewer that there is wants to be; None: as it runs. Raises Refused(457)."""
        start = None if wanted is None or self._presentation.live else wanted.start
        if start is None or self._playing - {session.id}:
            return None
        if self._presentation.duration is not None and start > self._presentation.duration:
            raise Refused(457, f"{start} s of {self._presentation.duration} s")
        return None if abs(start - self._presentation.position(now)) < _CLOSE_S else start

    def pause(self, session: Session) -> None:
        delivery = _delivery(session)
        self._forget_player(delivery, session.id)
        if not delivery.players:
            self._network.call(lambda _: self._network.pause(delivery.key))
        if not self._playing:
            self._presentation.rest(time.monotonic_ns(), rewind=False)

    def teardown(self, session: Session, track: str | None, why: str) -> None:
        agreement: Agreement | None = session.context
        if agreement is None:
            return
        delivery = agreement.delivery
        if track is not None:
            self._drop(delivery, track)
            return
        if session.id in self._playing:
            self._log(f"{delivery.name} has left" + ("" if why == _ASKED_FOR else f": {why}"))
        self._forget_player(delivery, session.id)
        if not self._playing:
            self._presentation.rest(time.monotonic_ns(), rewind=True)
        if delivery.players:
            return
        delivery.over = not delivery.multicast
        gone = why != _ASKED_FOR or not agreement.ours
        sender = delivery.session
        if sender is not None:
            self._network.call(lambda now: self._network.end(delivery.key, now, gone=gone))
            self._last_words = None if gone else self._ask(lambda: last_words(sender))
        elif delivery.over:
            self._release(delivery)

    def _forget_player(self, delivery: Delivery, session_id: str) -> None:
        self._playing.discard(session_id)
        delivery.players.pop(session_id, None)

    def set_parameters(self, _: Session | None, values: Mapping[str, str]) -> None:
        raise Refused(451, ", ".join(values))

    def get_parameters(self, _: Session | None, names: Sequence[str]) -> Mapping[str, str]:
        raise Refused(451, ", ".join(names))

    # What the network thread tells

    def handle_ending(self, delivery: Delivery, ranges: str) -> None:
        """Its session says goodbye: those who understand are told in the connection, too, what that was."""
        for session in delivery.players.values():
            if ranges and session.context.ours and isinstance(session.peer.connection, Conversation):
                session.peer.connection.tell_ranges(session, delivery.key, ranges)

    def handle_end(self, delivery: Delivery, over: SenderSession) -> None:
        """This session has said goodbye."""
        if delivery.session is not over:
            return
        self._reset(delivery)
        if delivery.over:
            self._release(delivery)

    def _is_open(self, delivery: Delivery) -> bool:
        """Whether its session can go on; it may have come to its end just now."""
        if delivery.session is None or not delivery.handed_over:
            return False
        if self._ask(lambda: self._network.is_open(delivery.key)):
            return True
        self._reset(delivery)
        return False

    def _reset(self, delivery: Delivery) -> None:
        delivery.session, delivery.handed_over = None, False
        self._playing -= delivery.players.keys()
        delivery.players.clear()

    def _change(self, programme: Programme) -> None:
        """The network thread has it before the one before ends: otherwise that would be the end of all."""
        self._ask(lambda: self._network.change(programme))

    # The rest

    def _begin(self, delivery: Delivery, ours: bool, now: int) -> None:
        maker = SessionMaker(self._config.media, self._cname, now, time.time_ns(), self._numbers)
        to = delivery.begin(maker)
        session, feeds, network = delivery.session, delivery.feeds, self._network
        assert session is not None
        acknowledges = ours or delivery.multicast

        def join(_: int) -> None:
            network.add(to, session, feeds, context=delivery, acknowledges=acknowledges, encryption=delivery.encryption)
            network.play(delivery.key)

        def hand_over() -> None:
            delivery.handed_over = True
            network.call(join)

        self._afterwards.append(hand_over)

    def _run(self, position: float | None) -> None:
        """Have the media run for whoever has just begun."""
        try:
            self._presentation.begin(position)
        except FatalError as error:
            self._log(f"cannot begin again: {error}")

    def _infos(self, session: Session, request: Request, now: int) -> list[RtpInfo]:
        """RTP-Info: where each track's packets begin."""
        delivery, programme = _delivery(session), self._presentation.programme
        sender = delivery.session
        assert sender is not None
        positions = (self._ask(sender.positions) or []) if delivery.handed_over else sender.positions()
        base = _without_track(request.url, self._tracks)
        return [
            RtpInfo(
                f"{base}/{track}", number & 0xFFFF, (offset + programme.timestamp_at(setup.feed, now)) & 0xFFFF_FFFF
            )
            for (track, setup), (number, offset) in zip(delivery.setups.items(), positions, strict=False)
            if track in session.tracks
        ]

    def _ask(self, question: Callable[[], T]) -> T | None:
        """The network thread's answer; None where it has none in time."""
        try:
            return self._network.ask(lambda _: question()).result(_PATIENCE_S)
        except TimeoutError:
            return None

    def _drop(self, delivery: Delivery, track: str) -> None:
        """One track is not wanted any more."""
        if delivery.multicast:
            return
        setup = delivery.setups[track]
        if delivery.session is None:
            del delivery.setups[track]
        else:
            self._network.call(lambda _: self._network.drop(delivery.key, setup.feed))

    def _release(self, delivery: Delivery) -> None:
        """Nothing goes there any more."""
        if delivery.conversation is not None:
            delivery.conversation.packets.release(delivery.key)
        self._network.call(lambda _: self._network.transport.release(delivery.key))


def _knows_mikey(agent: str) -> bool:
    """Whether this client is known to take SRTP with a key in the description."""
    return any(name in agent for name in ("Steadycast", "GStreamer"))


def _delivery(session: Session) -> Delivery:
    assert isinstance(session.context, Agreement)
    return session.context.delivery


def _without_track(url: str, tracks: Sequence[str]) -> str:
    """The presentation's URL, where a track's may be given."""
    base, _, last = url.rstrip("/").rpartition("/")
    return base if last in tracks else url.rstrip("/")
