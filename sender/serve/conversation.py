"""One client's connection: its requests, and the packets beside them on their way between the two threads."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from protocol.control.connection import Connection
from protocol.rtsp.application import Peer, Session
from protocol.rtsp.headers import Headers
from protocol.rtsp.message import Interleaved, Message, Request
from sender.paths import Channel

_WAITING = 500_000
"""octets that may wait for the control thread."""
_DRAINED = 60_000
"""octets in the connection below which media that did not fit may begin again."""


class Host(Protocol):
    """Whoever answers."""

    def handle(self, conversation: Conversation, request: Request) -> None:
        """A request."""

    def left(self, conversation: Conversation, why: str) -> None:
        """The connection is closed."""

    def heard(self, channel: Channel, data: bytes) -> None:
        """A packet that came beside the messages."""

    def starved(self, channel: Channel, datagrams: Sequence[bytes]) -> None:
        """There was no room for these in the connection."""

    def drained(self, target: int) -> None:
        """There is room again."""


class Conversation:
    """Everything but `hand_over` belongs to the control thread."""

    def __init__(self, connection: Connection, host: Host, post: Callable[..., object]) -> None:
        """`post` has the control thread call something."""
        self.connection = connection
        self._host, self._post = host, post
        (address, port), (local, _) = connection.peer, connection.local
        self.peer = Peer(self, address, connection.tls, port, local)
        self.channels: dict[int, Channel] = {}
        """in use, by their numbers."""
        self._cseq = 0
        self._starving: set[int] = set()
        """targets whose media did not fit."""
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Channel, Sequence[bytes]]] = deque()
        self._octets = 0
        self._open = True

    # The handler of the connection

    def received(self, _: Connection, message: Message) -> None:
        if isinstance(message, Request):
            self._host.handle(self, message)
        elif isinstance(message, Interleaved) and (channel := self.channels.get(message.channel)) is not None:
            self._host.heard(channel, message.data)

    def lost(self, _: Connection, why: str) -> None:
        self._open = False
        self._host.left(self, why)

    def set_parameter(self, session: Session, name: str, value: str) -> None:
        """Tell the client something; whether it understands makes no difference."""
        self._cseq += 1
        fields = ("CSeq", str(self._cseq)), ("Session", session.id), ("Content-Type", "text/parameters")
        self.connection.send(
            Request("SET_PARAMETER", session.path, Headers.of(*fields), f"{name}: {value}\r\n".encode())
        )

    # Packets

    def open_channels(self, target: int, wanted: tuple[int, int] | None) -> tuple[Channel, Channel] | None:
        """A pair of channels: those wanted, if they are free, or others; None: there are no more."""
        pairs = [(first, first + 1) for first in range(0, 256, 2)]
        if wanted is not None and wanted[0] != wanted[1]:
            pairs.insert(0, wanted)
        free = next((pair for pair in pairs if not self.channels.keys() & set(pair)), None)
        if free is None:
            return None
        rtp, rtcp = (self._channel(target, number, media=number == free[0]) for number in free)
        return rtp, rtcp

    def close_channels(self, target: int) -> None:
        """This target needs them no more."""
        self.channels = {number: each for number, each in self.channels.items() if each.target != target}
        self._starving.discard(target)

    def _channel(self, target: int, number: int, *, media: bool) -> Channel:
        def hand_over(_: int, datagrams: Sequence[bytes]) -> Sequence[bytes]:
            return self._hand_over(channel, datagrams)

        channel = self.channels[number] = Channel(target, number, media, hand_over)
        return channel

    def _hand_over(self, channel: Channel, datagrams: Sequence[bytes]) -> Sequence[bytes]:
        """On the network thread. Returns what there is no room for."""
        size = sum(map(len, datagrams))
        with self._lock:
            if not self._open or self._octets + size > _WAITING:
                return datagrams
            idle = not self._waiting
            self._waiting.append((channel, datagrams))
            self._octets += size
        if idle:
            self._post(self._flush)
        return ()

    def _flush(self) -> None:
        with self._lock:
            waiting, self._waiting, self._octets = self._waiting, deque(), 0
        for channel, datagrams in waiting:
            taken = self.connection.send_interleaved(channel.number, datagrams)
            if taken < len(datagrams) and not self.connection.closed:
                self._starving.add(channel.target)
                self._host.starved(channel, datagrams[taken:])
        if self._starving and self.connection.waiting < _DRAINED:
            for target in self._starving:
                self._host.drained(target)
            self._starving.clear()
