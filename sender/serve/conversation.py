"""One client's connection: its requests, and the packets beside them on their way between the two threads."""

from __future__ import annotations

from typing import Protocol

from protocol.control.connection import Connection
from protocol.rtsp.application import Peer, Session
from protocol.rtsp.headers import Headers
from protocol.rtsp.message import Interleaved, Message, Request
from sender.interleaving import Interleaver


class Host(Protocol):
    """Whoever answers."""

    def handle(self, conversation: Conversation, request: Request) -> None:
        """A request."""

    def left(self, conversation: Conversation, why: str) -> None:
        """The connection is closed."""


class Conversation:
    """It belongs to the control thread."""

    def __init__(self, connection: Connection, host: Host, packets: Interleaver) -> None:
        self.connection, self.packets = connection, packets
        self._host = host
        (address, port), (local, _) = connection.peer, connection.local
        self.peer = Peer(self, address, connection.tls, port, local)
        self._cseq = 0

    def received(self, _: Connection, message: Message) -> None:
        if isinstance(message, Request):
            self._host.handle(self, message)
        elif isinstance(message, Interleaved):
            self.packets.receive(message.channel, message.data)

    def lost(self, _: Connection, why: str) -> None:
        self.packets.close()
        self._host.left(self, why)

    def set_parameter(self, session: Session, name: str, value: str) -> None:
        """Tell the client something; whether it understands makes no difference."""
        self._cseq += 1
        fields = ("CSeq", str(self._cseq)), ("Session", session.id), ("Content-Type", "text/parameters")
        self.connection.send(
            Request("SET_PARAMETER", session.path, Headers.of(*fields), f"{name}: {value}\r\n".encode())
        )
