"""One control connection, whichever end opened it: bytes ↔ messages, with a bound on what waits to be sent."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from typing import Protocol, cast

from protocol.control.limits import Bucket, Limits
from protocol.errors import ProtocolError
from protocol.rtsp import reader
from protocol.rtsp.message import Interleaved, Message, Response, interleaved_header, serialize
from protocol.rtsp.reader import Reader

MEDIA_BUFFER = 500_000
"""bytes of interleaved media that may wait; at 1 Mbit/s that is four seconds."""
MESSAGE_BUFFER = 1_000_000
"""bytes that may wait in all; a peer that asks and does not read the answers is closed."""
_LINGER = 2.0
"""s in which what waits may still be sent after `close`."""
_PORTION = 16_384
"""bytes that are read before it is asked whether more may come."""
_HEADER = 4
"""bytes before each interleaved packet (RFC 2326 §10.12)."""


class Handler(Protocol):
    """Whoever a connection belongs to. Called by the loop, and never while it calls the connection."""

    def received(self, connection: Connection, message: Message) -> None:
        """A whole message."""

    def lost(self, connection: Connection, why: str) -> None:
        """The connection is closed, by either end; the last call. `why` is a part of a sentence."""


class Connection(asyncio.Protocol):
    """Belongs to the loop's thread: other threads `post` their calls."""

    def __init__(self, handler_of: Callable[[Connection], Handler], *, limits: Limits | None = None) -> None:
        """`handler_of` is asked as soon as the connection (and its TLS) stands. `limits`: of a server, which holds
        those who come to them, and answers a message that breaks the rules with 400."""
        self._handler_of = handler_of
        self._handler: Handler | None = None
        self._limits = limits
        self._may: Bucket | None = None
        self._reader = Reader(None if limits is None else reader.Limits(body=limits.body))
        self._transport: asyncio.Transport | None = None
        self._why = ""
        self.peer: tuple[str, int] = ("", 0)
        """address and port of the other end; an IPv4 address is written as one."""
        self.local: tuple[str, int] = ("", 0)
        self.tls = False
        self.closed = False
        self.ended = asyncio.Event()
        """set after `lost`."""
        self.heard: float = 0.0
        """when the last whole message came, by the loop's clock; at first, when the connection stood."""
        self.begun: float | None = None
        """when the message began that is not whole yet."""
        self.messages = 0
        self.kept = False
        """something else shows that the other end lives: no idle time-out."""
        self.media_buffer = MEDIA_BUFFER
        self.dropped = 0
        """interleaved packets that were not sent because the other end, or the path, is too slow."""

    @property
    def handler(self) -> Handler:
        assert self._handler is not None
        return self._handler

    @property
    def waiting(self) -> int:
        """Bytes that the system has not taken yet."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    @property
    def held(self) -> int:
        """Bytes that wait for the other end to finish what it says, or to read: media apart, which are bounded."""
        return self._reader.pending + max(0, self.waiting - self.media_buffer)

    def certificate(self) -> bytes | None:
        """The other end's, DER; None without TLS or where it has shown none."""
        tls = None if self._transport is None else self._transport.get_extra_info("ssl_object")
        return tls.getpeercert(binary_form=True) if isinstance(tls, ssl.SSLObject) else None

    # Out

    def send(self, message: Message) -> None:
        """Send it soon; nothing happens once the connection is closed."""
        self._write(serialize(message))
        if self.waiting > MESSAGE_BUFFER:
            self.abort("it does not read what it asked for")

    def send_interleaved(self, channel: int, datagrams: Sequence[bytes]) -> int:
        """How many of these RTP or RTCP packets were taken: all that fit in the buffer, each of them whole."""
        room = self.media_buffer - self.waiting
        parts: list[bytes] = []
        for datagram in datagrams:
            room -= _HEADER + len(datagram)
            if room < 0 or self.closed:
                break
            parts += (interleaved_header(channel, len(datagram)), datagram)
        if parts:
            self._write(b"".join(parts))
        taken = len(parts) // 2
        self.dropped += len(datagrams) - taken
        return taken

    def close(self, why: str = "closed here") -> None:
        """Send what waits, for two seconds at most, and close."""
        if self._transport is None or self._transport.is_closing():
            return
        self._why = self._why or why
        self.closed = True
        self._transport.close()
        asyncio.get_running_loop().call_later(_LINGER, self._transport.abort)

    def abort(self, why: str) -> None:
        """Close at once."""
        if self._transport is not None:
            self._why = self._why or why
            self.closed = True
            self._transport.abort()

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self.closed:
            self._transport.write(data)

    # In, called by asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.peer = _place(transport.get_extra_info("peername"))
        self.local = _place(transport.get_extra_info("sockname"))
        self.tls = transport.get_extra_info("ssl_object") is not None
        self.heard = asyncio.get_running_loop().time()
        if self._limits is not None:
            self._may = Bucket(self._limits.messages, self._limits.message_rate, self.heard)
        self._handler = self._handler_of(self)

    def data_received(self, data: bytes) -> None:
        if self.closed:
            return
        try:
            for at in range(0, len(data), _PORTION):
                messages = self._reader.receive(data[at : at + _PORTION])
                self._note_progress(bool(messages))
                self._deliver(messages)
            self._reader.receive(b"")  # tells now what is wrong behind the last message
        except ProtocolError as error:
            self._handle_malformed(error)

    def eof_received(self) -> bool:
        self._why = self._why or "the other end closed it"
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        try:
            if self._handler is not None:
                self._handler.lost(self, self._why or _reason(error))
        finally:
            self.ended.set()

    def _note_progress(self, whole: bool) -> None:
        now = asyncio.get_running_loop().time()
        if whole:
            self.heard = now
        if not self._reader.pending:
            self.begun = None
        elif whole or self.begun is None:
            self.begun = now

    def _deliver(self, messages: Sequence[Message]) -> None:
        for message in messages:
            if self.closed:
                return
            if not isinstance(message, Interleaved):
                self._count()
            self.messages += 1
            self.handler.received(self, message)

    def _count(self) -> None:
        if self._may is not None and not self._may.take(asyncio.get_running_loop().time()):
            self.abort("it says too much")

    def _handle_malformed(self, error: ProtocolError) -> None:
        if self._limits is not None:
            self.send(Response(400))
        self.close(f"what came is no RTSP ({error})")


def _place(sockname: object) -> tuple[str, int]:
    """Address and port of what the socket module gives: IPv4 within IPv6 is IPv4."""
    if not isinstance(sockname, tuple) or len(sockname) < 2:
        return "", 0
    return str(sockname[0]).removeprefix("::ffff:"), int(sockname[1])


def _reason(error: Exception | None) -> str:
    if error is None:
        return "the other end closed it"
    if isinstance(error, TimeoutError):
        return "nothing came back any more"
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return "the other end broke it off"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or error}".lower().replace("_", " ")
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
