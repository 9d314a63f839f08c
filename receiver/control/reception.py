"""The TCP port on which senders announce what they send: connections, requests, time."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Sequence

from protocol.control.connection import Connection
from protocol.control.listening import Listener
from protocol.rtsp.application import Peer, Refused
from protocol.rtsp.message import Interleaved, Message, Request
from protocol.rtsp.server import Guard, Server
from receiver.control.publications import Publications, keep_looking

_TICK = 1.0
"""s between looks at sessions that are silent."""
_NO_USER = "no user"
"""What the server says of a request without a password, as every client's first one is."""


class Reception:
    """Serves from `start` to `close`, on the control thread."""

    def __init__(
        self,
        publications: Publications,
        log: Callable[[str], None],
        *,
        guard: Guard | None = None,
    ) -> None:
        """`guard`: None lets everybody in."""
        self._publications, self._log = publications, log
        self._server = Server(publications, guard=guard, on_refused=self._refused)
        publications.end, publications.alive = self._server.end, self._server.alive
        self._peers: dict[Connection, Peer] = {}
        self._listener: Listener | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, sockets: Sequence[socket.socket], tls: ssl.SSLContext | None) -> None:
        """`sockets` listen."""
        self._listener = Listener(sockets, self._greet, tls=tls)
        self._listener.start()
        self._tasks = [
            asyncio.ensure_future(keep_looking(self._publications)),
            asyncio.ensure_future(self._keep_time()),
        ]

    async def close(self) -> None:
        """Everybody's session and connection."""
        for task in self._tasks:
            task.cancel()
        self._publications.close()
        if self._listener is not None:
            self._listener.close()

    async def _keep_time(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            self._server.handle_timeout(time.monotonic_ns())
            sending = {session.peer.connection for session in self._server.sessions}
            for connection in self._peers:
                connection.kept = connection in sending

    # Connections

    def _greet(self, connection: Connection) -> Reception:
        host, port = connection.peer
        self._peers[connection] = Peer(connection, host, connection.tls, port, connection.local[0])
        return self

    def received(self, connection: Connection, message: Message) -> None:
        """A whole message of a sender."""
        if isinstance(message, Interleaved):
            self._publications.take(connection, message.channel, message.data)
        elif isinstance(message, Request):
            response = self._server.handle(self._peers[connection], message, time.monotonic_ns())
            connection.send(response)
            if response.headers.get("Connection") == "close":
                connection.close()

    def lost(self, connection: Connection, _why: str) -> None:
        """It is over."""
        self._server.lost(self._peers.pop(connection), time.monotonic_ns())

    def _refused(self, peer: Peer, request: Request, refused: Refused) -> None:
        if refused.status != 451 and refused.why != _NO_USER:
            self._log(f"{peer.host}: {request.method[:20]} refused, {refused.status}: {refused.why[:100]}")
