"""How the packets of one track come in: a pair of UDP ports, a multicast group, or channels of the control connection.
All of it belongs to the control thread; sessions and sockets are the network thread's, which is told."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from protocol.control.connection import Connection
from protocol.datagram import Transmission
from protocol.errors import ResourceError
from protocol.rtcp import compound
from protocol.rtcp.rr import ReceiverReport
from protocol.rtp import RtpPacket
from protocol.srtp.encryption import Encryption
from receiver.config import ReceiverConfig
from receiver.lanes import LanePath
from receiver.network import Network
from receiver.payload_types import PayloadTypes
from receiver.queue import UdpPath
from receiver.session import ReceiverSession
from receiver.sockets import open_socket

NEAR = 32
"""pairs of ports behind those that a receiver listens on, for what is announced to it: 5008 to 5071,"""
_TRIES = 200
"""and pairs of the system's choice that are looked at until there is none."""
_DRAIN = 1.0
"""s for which a socket is still read after its agreement: what was on its way counts."""
_PUNCH_TYPE = 126
"""a payload type that no agreement uses for media: the far end should not take the datagram for any."""


class Way:
    """`ports`: of RTP and of RTCP, as the session knows them."""

    def __init__(self, network: Network, ports: Sequence[int]) -> None:
        self._network = network
        self.ports = tuple(ports)

    def describe(self, types: PayloadTypes) -> None:
        """What comes in here means this."""
        self._network.call(lambda session: session.describe(self.ports, types))

    def encrypt(self, encryption: Encryption | None) -> None:
        """How what comes in here, and what is answered, is encrypted, as long as the way is open; None: not at all."""
        self._network.call(lambda _: self._network.secure.agree(self.ports, encryption))

    def _forget_keys(self) -> None:
        self._network.call(lambda _: self._network.secure.forget(self.ports))

    def end(self, why: str = "") -> None:
        """The agreement is over; with a reason its streams end, as if they had said goodbye."""
        now = time.monotonic_ns()
        self._network.call(lambda session: session.forget(self.ports, now, why))


class UdpWay(Way):
    """Two sockets of ours. The agreement's end closes them, after a moment."""

    def __init__(self, network: Network, sockets: Sequence[socket.socket]) -> None:
        super().__init__(network, [sock.getsockname()[1] for sock in sockets])
        self._sockets = sockets
        self._begun = False
        self._punches = 0
        self.far: tuple[UdpPath, UdpPath] | None = None
        """where the other end takes RTP and RTCP."""

    def begin(self, types: PayloadTypes, host: str, ports: tuple[int, int] | None) -> None:
        """`host`, `ports`: of the other end, None where it has not said."""
        if ports is not None:
            rtp, rtcp = (
                UdpPath(own, _address(sock, host, port))
                for own, sock, port in zip(self.ports, self._sockets, ports, strict=True)
            )
            self.far, types = (rtp, rtcp), replace(types, rtcp_path=rtcp)
        self.describe(types)
        self._begun = True
        for sock in self._sockets:
            self._network.add(sock)

    def punch(self) -> None:
        """Datagrams that open firewalls and address translators on the way, towards us."""
        if self.far is None:
            return
        rtp, rtcp = self.far
        hollow = bytes(RtpPacket(_PUNCH_TYPE, self._punches & 0xFFFF, 0, 0))
        self._punches += 1  # encryption takes each number once

        def send(session: ReceiverSession) -> None:
            report = compound.serialize([ReceiverReport(session.ssrc, ())])
            self._network.transmit(Transmission([hollow], rtp))
            self._network.transmit(Transmission([report], rtcp))

        self._network.call(send)

    def end(self, why: str = "") -> None:
        super().end(why)
        if self._begun:
            asyncio.get_running_loop().call_later(_DRAIN, self.close)
        else:
            self.close()

    def close(self) -> None:
        """At once."""
        if self._begun:
            for port in self.ports:
                self._network.remove(port)
        else:
            for sock in self._sockets:
                sock.close()
        self._forget_keys()


class TcpWay(Way):
    """Two channels of a connection. What is lost on the way TCP brings again, so that nothing else is asked to."""

    def __init__(
        self, network: Network, connection: Connection, channels: tuple[int, int], post: Callable[..., None]
    ) -> None:
        """`post` has the loop call something, from any thread."""
        self._paths: dict[int, LanePath] = {}
        for channel in dict.fromkeys(channels):
            self._paths[channel] = network.lanes.open(connection.peer, _into(connection, channel, post))
        self._rtcp = self._paths[channels[1]]
        super().__init__(network, [path.port for path in self._paths.values()])

    def begin(self, types: PayloadTypes) -> None:
        """Packets mean this from now on."""
        self.describe(replace(types, rtx={}, rtcp_path=self._rtcp))

    def take(self, channel: int, packet: bytes) -> None:
        """One that came in the connection."""
        if (path := self._paths.get(channel)) is not None:
            self._network.lanes.put(path, (packet,), time.monotonic_ns())

    def end(self, why: str = "") -> None:
        super().end(why)
        asyncio.get_running_loop().call_later(_DRAIN, self.close)

    def close(self) -> None:
        """At once."""
        for path in self._paths.values():
            self._network.lanes.close(path)
        self._forget_keys()


def _into(connection: Connection, channel: int, post: Callable[..., None]) -> Callable[[Sequence[bytes]], None]:
    def send(packets: Sequence[bytes]) -> None:
        post(connection.send_interleaved, channel, list(packets))

    return send


async def heard(network: Network, ways: Iterable[Way]) -> int | None:
    """When media came last along any of these, monotonic ns; None: there is no stream that goes on."""
    ports = [port for way in ways for port in way.ports]
    return await asyncio.wrap_future(network.query(lambda session: session.heard(ports)))


def open_pair(network: Network, config: ReceiverConfig) -> UdpWay:
    """Two free UDP ports in a row, the first one even (RFC 3550 §11). Raises UsageError or ResourceError."""
    for first in _places(config):
        if network.uses(first) or network.uses(first + 1):
            continue
        try:
            return UdpWay(network, _open(config, config.bind, (first, first + 1)))
        except ResourceError:
            continue
    raise ResourceError("no two UDP ports in a row are free on this machine")


def join(network: Network, config: ReceiverConfig, group: str, ports: tuple[int, int]) -> UdpWay:
    """The ports of a multicast group. Raises UsageError or ResourceError."""
    for port in ports:
        if network.uses(port):
            raise ResourceError(f"port {port} of the group {group} is in use here already")
    return UdpWay(network, _open(config, group, ports))


def _open(config: ReceiverConfig, host: str | None, ports: Sequence[int]) -> list[socket.socket]:
    opened: list[socket.socket] = []
    try:
        for port in ports:
            sock = open_socket(host, port, interface=config.interface, family=config.family, gro=config.gro)
            opened.append(sock)
    except BaseException:
        for sock in opened:
            sock.close()
        raise
    return opened


def _places(config: ReceiverConfig) -> Iterator[int]:
    """Even ports to try: of a receiver that listens the next ones after its own, so that a firewall can know them.

    Raises ResourceError."""
    if config.listen.tcp is not None:
        after = (config.listen.ports[-1] + 2) & ~1
        yield from range(after, min(after + 2 * NEAR, 65_534), 2)
    for _ in range(_TRIES):
        yield _some_port() & ~1


def _some_port() -> int:
    """A free one, of the system's choice. Raises ResourceError."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("", 0))
            return int(probe.getsockname()[1])
    except OSError as error:  # no port is left, or no descriptor: strangers may have seen to that
        raise ResourceError(f"no UDP port: {error.strerror}") from error


def _address(sock: socket.socket, host: str, port: int) -> tuple[Any, ...]:
    """As this socket sends to it; `host` is an address."""
    flags = socket.AI_NUMERICHOST | (socket.AI_V4MAPPED if sock.family == socket.AF_INET6 else 0)
    try:
        return socket.getaddrinfo(host, port, sock.family, socket.SOCK_DGRAM, 0, flags)[0][4]
    except socket.gaierror as error:
        raise ResourceError(f"no UDP to {host} from here: {error.strerror}") from error
