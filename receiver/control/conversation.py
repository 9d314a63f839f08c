"""One conversation with an RTSP server: what it offers, which of it we take, and what it says while it plays."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

from protocol import sdp
from protocol.control.client import Callbacks, Options, RtspClient
from protocol.control.refusal import refusal
from protocol.control.trying import Loss
from protocol.described_key import is_secure
from protocol.errors import FatalError, ProtocolError, ResourceError
from protocol.rtcp.range import SenderRange
from protocol.rtsp import final_range, transport, url
from protocol.rtsp.headers import Headers
from protocol.rtsp.message import Request, Response
from protocol.rtsp.transport import Transport
from protocol.rtsp.url import Url
from protocol.srtp.encryption import Encryption
from receiver.config import ReceiverConfig
from receiver.control.groups import is_group
from receiver.control.keys import TrackKeys
from receiver.control.tracks import Track, left_out, tracks
from receiver.control.ways import TcpWay, UdpWay, Way, heard, join, open_pair
from receiver.network import Network

_PATIENCE = 1.0
"""s that an answer to TEARDOWN is waited for."""
_ON_ITS_WAY = 0.1
"""s between the last packet that a server sent and the end of our account."""
_PUNCH = 15.0
"""s between datagrams that keep firewalls on the way open."""
_INSTEAD = {"UDP": ("UDP", "TCP", "MULTICAST"), "TCP": ("TCP",), "MULTICAST": ("MULTICAST",)}
"""What is asked for, and instead where the server takes none of it."""
_NO_TRANSPORT, _NO_KEY = 461, 463


class Conversation:
    """`open`, `play`, `wait` and `heard` again and again, then `leave`, or `close` without a word."""

    def __init__(
        self,
        where: Url,
        config: ReceiverConfig,
        network: Network,
        post: Callable[..., None],
        log: Callable[[str], None],
        options: Options,
    ) -> None:
        self._config, self._network, self._post, self._log = config, network, post, log
        self._loss = Loss()
        told = Callbacks(self._take_packet, self._answer, self._loss.tell, log)
        self._client = RtspClient(where, told, options)
        self._description = sdp.SessionDescription()
        self._base = ""
        self._tracks: list[Track] = []
        self._ways: dict[int, Way] = {}
        """by number of the track."""
        self._channels: dict[int, TcpWay] = {}
        self._heard = self._warned = False
        self._punched = 0.0
        self.over = False
        """all streams that came have said goodbye."""
        self.lower = "UDP"
        """how packets come: UDP, TCP or MULTICAST."""

    @property
    def place(self) -> str:
        """The server, for people."""
        return self._client.place

    # The way in

    async def open(self) -> None:
        """Connects and reads the description. Raises FatalError."""
        await self._client.open()
        await self._client.request("OPTIONS")
        response = await self._client.ask("DESCRIBE", headers=Headers.of(("Accept", "application/sdp")))
        try:
            self._description = sdp.parse(response.body)
            found = tracks(self._description, self._config)
        except ProtocolError as error:
            raise ResourceError(f"{self.place} describes its stream in a way nobody can read: {error}") from error
        self._base = next(
            (value for name in ("Content-Base", "Content-Location") if (value := response.headers.get(name))),
            str(self._client.url),
        )
        self._tracks = [track for track in found if track.types.formats]
        for track in found:
            if not track.types.formats:
                self._log(left_out(track))
        if not self._tracks:
            raise ResourceError(f"there is nothing at {self._client.url} that can be played")

    async def play(self, lower: str) -> None:
        """Every track, `lower` first, and what is next where the server takes none of that. Raises FatalError."""
        refused: FatalError | None = None
        if self._config.rtsp_transport == "auto" and self._opens_what_tls_hides:
            lower = "TCP"
        for track in self._tracks:
            for choice in (self.lower,) if self._ways else _INSTEAD[lower]:
                response = await self._set_up(track, choice)
                if response is None:
                    self.lower = choice
                    break
                refused = refusal("SETUP", self._client.url, response)
                if response.status != _NO_TRANSPORT:
                    break
            if track.number not in self._ways and len(self._tracks) > 1:
                self._log(f"track {track.number} ({track}) is left out: {refused}")
        if not self._ways:
            raise refused or ResourceError(f"{self.place} has nothing to play")
        self.punch()
        aggregate = self._aggregate()
        await self._client.ask("PLAY", aggregate, Headers.of(("Range", self._range())))
        self._client.keep_alive(aggregate)
        names = ", ".join(str(track) for track in self._tracks if track.number in self._ways)
        how = self.lower.lower() if self.lower == "MULTICAST" else self.lower
        secure = ", encrypted" if any(is_secure(track.described) for track in self._tracks) else ""
        self._log(f"{self.place} plays {names}, by {how}{secure}")

    @property
    def _opens_what_tls_hides(self) -> bool:
        """Packets beside the connection would come in the clear, where the connection itself does not."""
        return self._client.connection.tls and not all(is_secure(track.described) for track in self._tracks)

    def punch(self) -> None:
        """Datagrams towards the server: what it sends back then comes through firewalls and address translators."""
        self._punched = time.monotonic()
        for way in self._ways.values():
            if isinstance(way, UdpWay):
                way.punch()

    async def _set_up(self, track: Track, lower: str) -> Response | None:
        """None where that track is set up now, else what the server said. Raises FatalError."""
        way, asked = self._offer(track, lower)
        text = transport.serialize([asked])
        keys = self._keys(track)
        try:
            control = url.control(self._base, track.control)
            ours = Headers() if keys is None else keys.headers(control)
            response = await self._client.request("SETUP", control, Headers.of(("Transport", text)).plus(ours))
            if not 200 <= response.status < 300:
                return response
            encryption = None if keys is None else keys.agreed(response.headers)
            if keys is not None and encryption is None:
                return Response(_NO_KEY)
            agreed = transport.parse(response.headers.get("Transport") or text)
            self._begin(track, lower, agreed[0] if agreed else asked, way, encryption)
            way = None
        finally:
            if way is not None:
                way.close()
        return None

    def _keys(self, track: Track) -> TrackKeys | None:
        """None where packets come in the clear."""
        if not is_secure(track.described):
            return None
        if not self._client.connection.tls and not self._warned:
            self._warned = True
            self._log(f"the keys of {self.place} come in the clear: whoever listens can use them; ask for rtsps://")
        return TrackKeys(self._description, track.described, self._network.ssrc)

    def _offer(self, track: Track, lower: str) -> tuple[UdpWay | None, Transport]:
        profile = track.described.protocol.upper()
        if lower == "TCP":
            first = 2 * (track.number - 1)
            return None, Transport(profile, "TCP", interleaved=(first, first + 1))
        if lower == "MULTICAST":
            return None, Transport(profile, multicast=True)
        way = open_pair(self._network, self._config)
        rtp, rtcp = way.ports
        return way, Transport(profile, client_port=(rtp, rtcp))

    def _begin(
        self, track: Track, lower: str, agreed: Transport, way: UdpWay | None, encryption: Encryption | None
    ) -> None:
        """What the server has agreed to. Raises FatalError."""
        if lower == "TCP":
            pair = agreed.interleaved or (2 * (track.number - 1), 2 * (track.number - 1) + 1)
            by_tcp = TcpWay(self._network, self._client.connection, pair, self._post)
            self._channels |= dict.fromkeys(pair, by_tcp)
            self._ways[track.number] = by_tcp
            by_tcp.encrypt(encryption)
            by_tcp.begin(track.types)
            return
        ports = agreed.server_port
        if lower == "MULTICAST":
            group = agreed.destination
            if group is None or not is_group(group) or agreed.port is None:
                raise ResourceError(f"{self.place} names no multicast group")
            way, ports = join(self._network, self._config, group, agreed.port), None
        assert way is not None
        self._ways[track.number] = way
        way.encrypt(encryption)
        way.begin(track.types, self._client.connection.peer[0], ports)

    def _aggregate(self) -> str:
        """The URL of all tracks together (RFC 2326 C.1.1); of the only one where there is none."""
        return url.control(self._base, self._description.attribute("control"))

    def _range(self) -> str:
        """From the beginning; what is live has none."""
        given = self._description.attribute("range") or ""
        return "npt=now-" if given.replace(" ", "").startswith("npt=now") else "npt=0.000-"

    # While it plays

    async def wait(self, seconds: float) -> None:
        """Raises NoPeerError as soon as the connection is lost."""
        await self._loss.wait(seconds, self.place)
        if time.monotonic() - self._punched >= _PUNCH:
            self.punch()

    async def heard(self) -> int | None:
        """When media came last, monotonic ns; None: nothing does."""
        moment = await heard(self._network, self._ways.values())
        self._heard |= moment is not None
        self.over = self._heard and moment is None
        return moment

    def _take_packet(self, channel: int, packet: bytes) -> None:
        if (way := self._channels.get(channel)) is not None:
            way.take(channel, packet)

    def _answer(self, request: Request) -> Response | None:
        """What the server asks of us; None: the client knows what to say."""
        if request.method == "TEARDOWN":
            self._end("the server ended it")
        if request.method != "SET_PARAMETER":
            return None
        try:
            self._take_parameters(request.body.decode(errors="replace"))
        except ProtocolError:
            return Response(400)
        return Response(200)

    def _take_parameters(self, text: str) -> None:
        """Raises Malformed."""
        ports = [port for way in self._ways.values() for port in way.ports]
        now = time.monotonic_ns()
        for line in text.splitlines():
            name, _, value = line.partition(":")
            if name.strip().lower() != final_range.NAME:
                continue
            for one in final_range.parse(value.strip()):
                sent = SenderRange(one.ssrc, one.first, one.last, one.count, 0, final=True)
                self._network.call(lambda session, sent=sent: session.final_range(ports, sent, now))  # type: ignore[misc]

    # The way out

    async def stop(self) -> None:
        """TEARDOWN, to be set up anew. Raises FatalError."""
        await self._client.request("TEARDOWN", self._aggregate())
        self._end()

    async def leave(self) -> None:
        """TEARDOWN. What is on its way still comes in, until `close`, and reports go out."""
        if not self._ways or self._loss:
            return
        with contextlib.suppress(FatalError, ProtocolError, TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                response = await self._client.request("TEARDOWN", self._aggregate())
                if response.body:
                    await asyncio.sleep(_ON_ITS_WAY)
                    self._take_parameters(response.body.decode(errors="replace"))

    def close(self) -> None:
        """Without a word."""
        self._end()
        self._client.close()

    def _end(self, why: str = "") -> None:
        for way in self._ways.values():
            way.end(why)
        self._ways.clear()
        self._channels.clear()
