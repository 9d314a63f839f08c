"""What RTSP clients may ask of `serve`, and what the network thread is told for it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence

from protocol.errors import FatalError
from protocol.rtsp import rtp_info
from protocol.rtsp.application import Agreed, Peer, Refused, Session, Started
from protocol.rtsp.headers import Headers
from protocol.rtsp.message import Request
from protocol.rtsp.range import Npt
from protocol.rtsp.rtp_info import RtpInfo
from protocol.rtsp.transport import Transport
from protocol.rtsp.url import Url
from sender.network import Network
from sender.serve.agreeing import Agreeing
from sender.serve.config import ServeConfig
from sender.serve.conversation import Conversation
from sender.serve.delivery import Agreement, Delivery
from sender.serve.description import describe, track_name
from sender.serve.presentation import Presentation

_PATIENCE_S = 0.5
"""for an answer of the network thread, which has one within milliseconds."""
_ASKED_FOR = "asked for"


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
        self._afterwards: list[Callable[[], object]] = []

    def take_afterwards(self) -> list[Callable[[], object]]:
        """What is to be done once the answer is on its way."""
        todo, self._afterwards = self._afterwards, []
        return todo

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
        streams = self._agreeing.introduce(peer.connection)
        span = Npt() if self._presentation.live else Npt(0.0, self._presentation.duration)
        return describe(streams, span, peer.local_host, cname=self._cname, session_id=self._session_id)

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
        found = self._agreeing.agree(session, delivery, self._tracks.index(track), offers)
        if found is None:
            raise Refused(461, request.headers.get("Transport") or "")
        if agreement is None:
            session.context = Agreement(found[0], "Steadycast" in (request.headers.get("User-Agent") or ""))
        delivery, transport = found
        at_ports = delivery.setups[track].track()
        if at_ports is not None and not delivery.multicast:  # what opens the way through a NAT comes before PLAY
            self._network.call(lambda _: self._network.transport.welcome(delivery.key, at_ports))
        return Agreed(transport)

    # What flows

    def play(self, session: Session, _wanted: Npt | None, request: Request) -> Started:
        delivery = _delivery(session)
        now = time.monotonic_ns()
        if delivery.session is None:
            self._begin(delivery, session.context.ours, now)
        elif not delivery.players:
            self._afterwards.append(lambda: self._network.call(lambda _: self._network.play(delivery.key)))
        else:
            self._afterwards.append(lambda: self._network.call(lambda _: self._network.refresh(delivery.key)))
        if session.id not in delivery.players:
            self._log(f"{delivery.name} plays")
        delivery.players.add(session.id)
        self._afterwards.append(self._run)
        live = self._presentation.live
        headers = Headers.of(("RTP-Info", rtp_info.serialize(self._infos(session, request, now))))
        return Started(Npt() if live else Npt(self._presentation.position(now), self._presentation.duration), headers)

    def pause(self, session: Session) -> None:
        delivery = _delivery(session)
        delivery.players.discard(session.id)
        if not delivery.players:
            self._network.call(lambda _: self._network.pause(delivery.key))

    def teardown(self, session: Session, track: str | None, why: str) -> None:
        agreement: Agreement | None = session.context
        if agreement is None:
            return
        delivery = agreement.delivery
        if track is not None:
            self._drop(delivery, track)
            return
        playing = session.id in delivery.players
        delivery.players.discard(session.id)
        if delivery.players or (delivery.multicast and not playing):
            return
        if playing:
            self._log(f"{delivery.name} has left" + ("" if why == _ASKED_FOR else f": {why}"))
        delivery.over = not delivery.multicast
        gone = why != _ASKED_FOR or not agreement.ours
        if delivery.session is not None:
            self._network.call(lambda now: self._network.end(delivery.key, now, gone=gone))
        elif delivery.over:
            self._release(delivery)

    def set_parameters(self, _: Session | None, values: Mapping[str, str]) -> None:
        raise Refused(451, ", ".join(values))

    def get_parameters(self, _: Session | None, names: Sequence[str]) -> Mapping[str, str]:
        raise Refused(451, ", ".join(names))

    # What the network thread tells

    def handle_end(self, delivery: Delivery) -> None:
        """Its session has said goodbye."""
        delivery.session, delivery.handed_over = None, False
        delivery.players.clear()
        if delivery.over:
            self._release(delivery)

    # The rest

    def _begin(self, delivery: Delivery, ours: bool, now: int) -> None:
        to = delivery.begin(self._config.media, self._cname, now=now, wall=time.time_ns(), numbers=self._numbers)
        session, feeds, network = delivery.session, delivery.feeds, self._network
        assert session is not None
        acknowledges = ours or delivery.multicast

        def join(_: int) -> None:
            network.add(to, session, feeds, context=delivery, acknowledges=acknowledges)
            network.play(delivery.key)

        def hand_over() -> None:
            delivery.handed_over = True
            network.call(join)

        self._afterwards.append(hand_over)

    def _run(self) -> None:
        """Have the media run for whoever has just begun."""
        try:
            again = self._presentation.begin()
        except FatalError as error:
            self._log(f"cannot begin again: {error}")
            return
        if again:
            programme = self._presentation.programme
            self._network.call(lambda _: self._network.change(programme))

    def _infos(self, session: Session, request: Request, now: int) -> list[RtpInfo]:
        """RTP-Info: where each track's packets begin."""
        delivery, programme = _delivery(session), self._presentation.programme
        sender = delivery.session
        assert sender is not None
        positions = sender.positions() if not delivery.handed_over else self._ask(sender.positions)
        base = _without_track(request.url, self._tracks)
        return [
            RtpInfo(
                f"{base}/{track}", number & 0xFFFF, (offset + programme.timestamp_at(setup.feed, now)) & 0xFFFF_FFFF
            )
            for (track, setup), (number, offset) in zip(delivery.setups.items(), positions, strict=False)
            if track in session.tracks
        ]

    def _ask(self, question: Callable[[], list[tuple[int, int]]]) -> list[tuple[int, int]]:
        """The network thread's answer; nothing where it has none."""
        try:
            return self._network.ask(lambda _: question()).result(_PATIENCE_S)
        except TimeoutError:
            return []

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
            delivery.conversation.close_channels(delivery.key)
        self._network.call(lambda _: self._network.transport.release(delivery.key))


def _delivery(session: Session) -> Delivery:
    assert isinstance(session.context, Agreement)
    return session.context.delivery


def _without_track(url: str, tracks: Sequence[str]) -> str:
    """The presentation's URL, where a track's may be given."""
    base, _, last = url.rstrip("/").rpartition("/")
    return base if last in tracks else url.rstrip("/")
