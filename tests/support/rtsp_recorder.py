"""A server that takes what is announced to it (RFC 2326 §10.3, §10.11), and does to its clients what a test wants."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any

from protocol import rtp, sdp
from protocol.control.connection import Connection
from protocol.control.listening import Listener, open_sockets
from protocol.control.loop import ControlThread
from protocol.rtcp import compound
from protocol.rtcp.rr import ReceiverReport
from protocol.rtsp.application import Agreed, Peer, Refused, Session, Started
from protocol.rtsp.message import Interleaved, Message, Request
from protocol.rtsp.server import Guard, Server
from protocol.rtsp.transport import Transport
from protocol.rtsp.url import Url

RECEIVER = 0xFACE
WAIT = 5.0


class Recorder:
    """An `Application`, the handler of its connections, and a thread that reads what comes by UDP."""

    methods = frozenset({"ANNOUNCE", "SETUP", "RECORD", "TEARDOWN"})

    def __init__(
        self,
        *,
        port: int = 0,
        takes: Sequence[str] = ("UDP", "TCP"),
        tracks: Sequence[str] = ("track1", "track2"),
        reports: bool = True,
        refuses: Mapping[str, int] | None = None,
        guard: Guard | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`reports`: packets are answered with RTCP; `refuses`: method → status."""
        self._takes, self._tracks, self._reports, self._refuses = takes, tracks, reports, refuses or {}
        self.requests: list[str] = []
        """methods, and the lower transport with SETUP that was agreed on."""
        self.packets: dict[int, list[rtp.RtpPacket]] = defaultdict(list)
        self.parameters: dict[str, str] = {}
        self.description: sdp.SessionDescription | None = None
        self._server = Server(self, guard=guard)
        self._peers: dict[Connection, Peer] = {}
        self._sockets: dict[str, tuple[socket.socket, socket.socket]] = {}
        self._control = ControlThread()
        sockets = open_sockets("127.0.0.1", port, "")
        self.port = int(sockets[0].getsockname()[1])
        self._listener = Listener(sockets, self._greet, tls=tls)
        self._control.call(self._start()).result(WAIT)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Nobody listens any more, and every connection is closed."""
        self._stop.set()
        self._thread.join()
        self._control.call(self._close()).result(WAIT)
        self._control.close()
        for pair in self._sockets.values():
            for each in pair:
                each.close()

    def hang_up(self) -> None:
        """Close every connection, and listen on."""
        self._control.call(self._hang_up()).result(WAIT)

    async def _start(self) -> None:
        self._listener.start()

    async def _close(self) -> None:
        self._listener.close()
        await asyncio.sleep(0.05)

    async def _hang_up(self) -> None:
        for connection in self._listener.connections:
            connection.close()

    # Connections

    def _greet(self, connection: Connection) -> Recorder:
        self._peers[connection] = Peer(connection, *connection.peer[:1], port=connection.peer[1])
        return self

    def received(self, connection: Connection, message: Message) -> None:
        if isinstance(message, Interleaved):
            self._take(message.data)
            if self._reports and message.channel % 2 == 0:
                connection.send(Interleaved(message.channel + 1, _report()))
        elif isinstance(message, Request):
            if message.method != "SETUP":
                self.requests.append(message.method)
            connection.send(self._server.handle(self._peers[connection], message, time.monotonic_ns()))

    def lost(self, connection: Connection, _why: str) -> None:
        self._server.lost(self._peers.pop(connection), time.monotonic_ns())

    # What the server asks

    def split(self, path: str) -> tuple[str, str | None]:
        return path, None

    def describe(self, *_: object) -> bytes:
        raise Refused(404)

    def announce(self, _url: Url, _peer: Peer, _user: str | None, description: sdp.SessionDescription) -> None:
        self._refuse("ANNOUNCE")
        self.description = description

    def setup(self, session: Session, track: str, offers: Sequence[Transport], _: Request) -> Agreed:
        self._refuse("SETUP")
        if track.rpartition("/")[2] not in self._tracks:
            raise Refused(415, track)
        for offer in offers:
            if offer.lower in self._takes and offer.mode == "RECORD":
                self.requests.append(f"SETUP {offer.lower}")
                return Agreed(self._agree(track, session, offer))
        raise Refused(461)

    def _agree(self, track: str, _session: Session, offer: Transport) -> Transport:
        if offer.lower == "TCP":
            return offer
        if track not in self._sockets:
            pair = tuple(socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
            for each in pair:
                each.bind(("127.0.0.1", 0))
                each.settimeout(0.005)
            self._sockets[track] = pair  # type: ignore[assignment]
        ports = [each.getsockname()[1] for each in self._sockets[track]]
        return replace(offer, server_port=(ports[0], ports[1]))

    def play(self, *_: object) -> Started:
        raise Refused(405)

    def record(self, *_: object) -> Started:
        self._refuse("RECORD")
        return Started()

    def pause(self, _: Session) -> None: ...

    def set_parameters(self, _: Session | None, values: Mapping[str, str]) -> None:
        self.parameters |= values

    def get_parameters(self, _: Session | None, _names: Sequence[str]) -> Mapping[str, str]:
        return {}

    def teardown(self, *_: Any) -> None: ...

    def _refuse(self, method: str) -> None:
        if method in self._refuses:
            raise Refused(self._refuses[method])

    # Packets

    def _read(self) -> None:
        while not self._stop.is_set():
            for pair in list(self._sockets.values()):
                self._read_pair(*pair)
            time.sleep(0.002)

    def _read_pair(self, media: socket.socket, reports: socket.socket) -> None:
        for each in (media, reports):
            try:
                data, address = each.recvfrom(2048)
            except OSError:
                continue
            self._take(data)
            if self._reports and each is reports:
                reports.sendto(_report(), address)

    def _take(self, data: bytes) -> None:
        if not 192 <= data[1] <= 223:
            packet = rtp.parse(data)
            self.packets[packet.ssrc].append(packet)


def _report() -> bytes:
    return compound.serialize([ReceiverReport(RECEIVER)])
