"""One conversation with a server: what we send is announced, set up, and recorded there."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from protocol import key_management
from protocol.control.client import Callbacks, Options, RtspClient
from protocol.control.refusal import refusal
from protocol.control.trying import Loss
from protocol.errors import FatalError, ResourceError
from protocol.rtsp import final_range, transport
from protocol.rtsp import url as rtsp_url
from protocol.rtsp.headers import Headers
from protocol.rtsp.message import Request, Response
from protocol.rtsp.transport import Transport
from protocol.srtp.encryption import FixedKeys
from protocol.srtp.master_key import MasterKey
from protocol.srtp.protector import Protector
from sender.identity import new_key
from sender.interleaving import Interleaver
from sender.network import Network
from sender.paths import Route
from sender.push.pushed import Pushed
from sender.session_description import describe, track_name
from sender.transmit.stream import StreamConfig
from sender.transport import PortPair

T = TypeVar("T")
_PATIENCE = 1.0
"""s that the answer to a goodbye is waited for."""
_NO_TRANSPORT = 461
_KNOW_MIKEY = ("Steadycast", "GStreamer")
"""servers that are known to take SRTP with a key in the description."""


class Conversation:
    """`open`, `record`, `wait` again and again, then `leave`, or `close` without a word. On the control thread."""

    def __init__(
        self,
        pushed: Pushed,
        network: Network,
        post: Callable[..., None],
        log: Callable[[str], None],
        options: Options,
        cname: str,
    ) -> None:
        self._pushed, self._network, self._post, self._log, self._cname = pushed, network, post, log, cname
        self._loss = Loss()
        told = Callbacks(self._take_packet, self._answer, self._loss.tell, log)
        self._client = RtspClient(pushed.url, told, options)
        self._packets: Interleaver | None = None
        self._encryption: FixedKeys | None = None
        """the network thread's."""
        self._set_up: set[int] = set()
        """indices of the streams that the server takes."""
        self.ours = False
        """the server is a Steadycast."""
        self._secure = False
        self._keys: list[MasterKey] | None = None
        """of the agreement, by stream; None: it is not encrypted."""
        self.lower = "UDP"
        """how packets go: UDP or TCP."""

    @property
    def place(self) -> str:
        """The server, for people."""
        return self._client.place

    # The way in

    async def open(self) -> None:
        """Raises FatalError."""
        await self._client.open()
        response = await self._client.request("OPTIONS")
        server = response.headers.get("Server") or ""
        self.ours = "Steadycast" in server
        self._secure = self._client.connection.tls and any(name in server for name in _KNOW_MIKEY)
        host = self._client.connection.peer[0]
        await self._do(lambda: setattr(self._pushed, "host", host))

    async def record(self, lower: str) -> None:
        """Announce everything, and send it, `lower` first, and by TCP where the server takes none of that, or packets
        beside the connection would go in the clear, which the connection itself does not. Raises FatalError."""
        await self._announce()
        if self._client.connection.tls and not self._secure:
            lower = "TCP"
        self.lower = lower
        refused: FatalError | None = None
        for index, stream in enumerate(self._pushed.streams):
            for choice in (self.lower,) if self._set_up else dict.fromkeys((lower, "TCP")):
                response = await self._set_up_track(index, choice)
                if response is None:
                    self.lower = choice
                    break
                refused = refusal("SETUP", self._pushed.url, response)
                if response.status != _NO_TRANSPORT:
                    break
            if index not in self._set_up and len(self._pushed.streams) > 1:
                self._log(f"{self.place} does not take the {stream.media}: {refused}")
        if not self._set_up:
            raise refused or ResourceError(f"{self.place} takes nothing")
        await self._client.ask("RECORD", headers=Headers.of(("Range", "npt=now-")))
        self._client.keep_alive()
        await self._do(self._begin)
        names = ", ".join(self._pushed.streams[index].encoding for index in sorted(self._set_up))
        self._log(f"{self.place} takes {names}, by {self.lower}" + (", encrypted" if self._keys else ""))

    async def _announce(self) -> None:
        """Encrypted, and once more without where the server knows how but was told not to. Raises FatalError."""
        form = Headers.of(("Content-Type", "application/sdp"))
        await self._do(self._encrypt)
        if self._secure:
            response = await self._client.request("ANNOUNCE", headers=form, body=self._sdp())
            if response.status == 200:
                return
            self._secure = False
            await self._do(self._encrypt)
        await self._client.ask("ANNOUNCE", headers=form, body=self._sdp())

    def _encrypt(self) -> None:
        """On the network thread: before anything may leave. Each agreement has its own keys: the next one counts RTCP
        from the beginning, and no number may be used twice under one key."""
        self._keys = self._encryption = None
        if self._secure:
            self._keys = [new_key(_ssrcs(stream)) for stream in self._pushed.streams]
            protectors: dict[Route, Protector] = {}
            for key, routes in zip(self._keys, self._pushed.routes, strict=True):
                protectors |= dict.fromkeys(routes, Protector(key))
            self._encryption = FixedKeys(protectors, ())
        self._network.encrypt(self._pushed.key, self._encryption)

    def _begin(self) -> None:
        """On the network thread."""
        key = self._pushed.key
        if (destination := self._network.destinations.get(key)) is not None:
            destination.acknowledges, destination.reached, destination.starving = self.ours, True, False
            destination.unwanted = set(range(len(self._pushed.streams))) - self._set_up
            self._network.play(key)

    def _sdp(self) -> bytes:
        """Others cannot do anything with what only ours use."""
        streams = self._pushed.streams
        if not self.ours:
            streams = [replace(stream, rtx_payload_type=None) for stream in streams]
        local = self._client.connection.local[0]
        session_id = time.time_ns() // 1_000_000_000
        return describe(streams, None, local, cname=self._cname, session_id=session_id, keys=self._keys)

    async def _set_up_track(self, index: int, lower: str) -> Response | None:
        """None where it is set up now, else what the server said. Raises FatalError."""
        ports: PortPair | None = None
        profile = "RTP/AVP" if self._keys is None else "RTP/SAVP"
        if lower == "TCP":
            asked = Transport(profile, "TCP", interleaved=(2 * index, 2 * index + 1), mode="RECORD")
        else:
            family = socket.AF_INET6 if ":" in self._client.connection.peer[0] else socket.AF_INET
            key = self._pushed.key
            ports = await self._do(lambda: self._network.transport.attach(key, family))
            asked = Transport(profile, client_port=ports.ports, mode="RECORD")
        text = transport.serialize([asked])
        control = rtsp_url.control(str(self._client.url), track_name(index))
        headers = Headers.of(("Transport", text))
        if self._keys is not None:
            headers = headers.plus(key_management.telling(self._keys[index], control))
        response = await self._client.request("SETUP", control, headers)
        if not 200 <= response.status < 300:
            return response
        theirs, encryption = key_management.offered(response.headers), self._encryption
        if theirs is not None and encryption is not None:
            await self._do(lambda: encryption.trust(theirs))
        agreed = transport.parse(response.headers.get("Transport") or text)
        await self._lead(index, agreed[0] if agreed else asked, ports)
        self._set_up.add(index)
        return None

    async def _lead(self, index: int, agreed: Transport, ports: PortPair | None) -> None:
        """Where this track goes. Media go to the server that we speak with, whatever `source` says."""
        key, pushed = self._pushed.key, self._pushed
        if ports is None:
            if self._packets is None:
                self._packets = Interleaver(self._client.connection, self._network, self._post)
            channels = self._packets.open(key, agreed.interleaved)
            if channels is None:
                raise ResourceError(f"{self.place} has no channels left")
            await self._do(lambda: pushed.lead(index, *channels))
            return
        theirs, host = agreed.server_port, self._client.connection.peer[0]
        if theirs is None or not all(theirs):
            raise ResourceError(f"{self.place} does not say to which port it wants what")
        await self._do(lambda: pushed.lead(index, *self._network.transport.lead(key, ports, host, theirs)))

    # While it is sent

    async def wait(self, seconds: float) -> None:
        """Raises NoPeerError as soon as the connection is lost."""
        await self._loss.wait(seconds, self.place)

    async def heard(self) -> int | None:
        """When something last came back, monotonic ns; None: nothing ever did."""

        def ask() -> int | None:
            destination = self._network.destinations.get(self._pushed.key)
            return None if destination is None else destination.heard

        return await self._do(ask)

    async def probe(self) -> None:
        """Whether the server is still there. Raises FatalError."""
        await self._client.request("OPTIONS")

    async def say(self, ranges: str) -> None:
        """Everything that was sent. Who does not understand is told by RTCP alone."""
        headers, body = Headers.of(("Content-Type", "text/parameters")), f"{final_range.NAME}: {ranges}\r\n".encode()
        with contextlib.suppress(FatalError, TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                response = await self._client.request("SET_PARAMETER", headers=headers, body=body)
                if response.status == 200:
                    self._network.call(lambda now: self._network.told(self._pushed.key, now))

    def _take_packet(self, channel: int, packet: bytes) -> None:
        if self._packets is not None:
            self._packets.receive(channel, packet)

    def _answer(self, request: Request) -> Response | None:
        """What the server asks of us; None: the client knows what to say."""
        if request.method == "TEARDOWN":
            self._loss.tell("the server ended it")
        return None

    # The way out

    async def stop(self) -> None:
        """TEARDOWN: the connection stays. Raises FatalError."""
        await self._end()
        await self._client.request("TEARDOWN")

    async def leave(self) -> None:
        """TEARDOWN, and the end."""
        if self._set_up and not self._loss:
            with contextlib.suppress(FatalError, TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    await self._client.request("TEARDOWN")
        await self.close()

    async def close(self) -> None:
        """Without a word."""
        await self._end()
        connection = self._client.close()
        if connection is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    await connection.ended.wait()

    async def _end(self) -> None:
        """Nothing goes there any more."""
        self._set_up.clear()
        if self._packets is not None:
            self._packets.close()
            self._packets = None
        with contextlib.suppress(FatalError):  # the network thread has ended
            await self._do(self._cut)

    def _cut(self) -> None:
        """On the network thread."""
        key = self._pushed.key
        self._network.pause(key)
        self._pushed.cut()
        self._network.transport.release(key)
        if (destination := self._network.destinations.get(key)) is not None:
            destination.acknowledges, destination.heard = False, None

    async def _do(self, work: Callable[[], T]) -> T:
        """On the network thread."""
        return await asyncio.wrap_future(self._network.ask(lambda _: work()))


def _ssrcs(stream: StreamConfig) -> set[int]:
    return {ssrc for ssrc in (stream.ssrc, stream.rtx_ssrc, stream.fec_ssrc) if ssrc}
