"""One client's connection: its requests, and the packets beside them on their way between the two threads."""

from __future__ import annotations

from typing import Protocol

from protocol.control.connection import Connection
from protocol.rtsp import final_range
from protocol.rtsp.application import Peer, Session
from protocol.rtsp.headers import Headers
from protocol.rtsp.message import Interleaved, Message, Request, Response
from sender.interleaving import Interleaver


class Host(Protocol):
    """Whoever answers."""

    def handle(self, conversation: Conversation, request: Request) -> None:
        """A request."""

    def acknowledged(self, target: int) -> None:
        """This target's receiver has its final ranges."""

    def left(self, conversation: Conversation, why: str) -> None:
        """The connection is closed."""


class Conversation:
    """It belongs to the control thread."""

    def __init__(self, connection: Connection, host: Host, packets: Interleaver) -> None:
        self.connection, self.packets = connection, packets
        self._host = host
        (address, port), (local, _) = connection.peer, connection.local
        self.peer = Peer(self, address, connection.tls, port, local)
        self.agent = ""
        """what the client calls itself."""
        self._cseq = 0
        self._told: dict[int, int] = {}
        """CSeq of what we asked for → the target it is about."""

    def received(self, _: Connection, message: Message) -> None:
        if isinstance(message, Request):
            self.agent = message.headers.get("User-Agent") or self.agent
            self._host.handle(self, message)
        elif isinstance(message, Response):
            target = self._told.pop(message.cseq or 0, None)
            if target is not None and message.status == 200:
                self._host.acknowledged(target)
        elif isinstance(message, Interleaved):
            self.packets.receive(message.channel, message.data)

    def lost(self, _: Connection, why: str) -> None:
        self.packets.close()
        self._host.left(self, why)

    def tell_ranges(self, session: Session, target: int, ranges: str) -> None:
        """Everything that was sent to this target. A client that does not understand is told by RTCP alone."""
        self._cseq += 1
        self._told[self._cseq] = target
        fields = ("CSeq", str(self._cseq)), ("Session", session.id), ("Content-Type", "text/parameters")
        body = f"{final_range.NAME}: {ranges}\r\n".encode()
        self.connection.send(Request("SET_PARAMETER", session.path, Headers.of(*fields), body))
