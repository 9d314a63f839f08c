"""Accepting control connections: plain and TLS on one port, told apart by the first byte, bounded in every way."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from protocol.control.connection import Connection, Handler
from protocol.control.limits import Admission, Bucket, Limits
from protocol.control.tcp import tune
from protocol.errors import FatalError, ResourceError, UsageError

_BACKLOG = 512
_TURN = 64
"""connections accepted before others have their turn."""
_REFUSED = 0.2
"""of the work that a connection makes, what one makes that is closed at once."""
_PAUSE = 0.1
"""s without accepting, after too many."""
_HANDSHAKE = b"\x16"
"""RFC 8446 §5.1: the type of a TLS record that a handshake begins with. No RTSP method begins like that."""


def open_sockets(host: str | None, port: int, hint: str, family: int = 0) -> list[socket.socket]:
    """Listening TCP sockets: on `host`, or on every address of this machine, both families where possible.

    `hint` ends a refusal: what to do for another port. `port` 0: any. Raises UsageError or ResourceError.
    """
    try:
        found = _places(host, port, family)
    except (OSError, UnicodeError) as error:
        raise UsageError(f"{host!r} is no address of this machine; give one that is, or only a port") from error
    opened: list[socket.socket] = []
    try:
        for kind, place in found:
            opened.append(_open(kind, place, dual=host is None and not family))
    except OSError as error:
        for sock in opened:
            sock.close()
        raise _explained(error, host, port, hint) from error
    return opened


@dataclass(slots=True)
class Counts:
    """What became of the connections others made."""

    accepted: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    """by the limit in the way: full, address, rate, files."""
    silent: int = 0
    """closed because no byte, or no whole request, came in time."""
    idle: int = 0
    greedy: int = 0
    """closed because they held most when it was too much in all."""
    tls_failed: int = 0


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A connection on which nothing was said yet."""

    address: str
    until: float


class Listener:
    """Listens from `start` until `close`. All of it belongs to the loop's thread."""

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        handler_of: Callable[[Connection], Handler],
        *,
        tls: ssl.SSLContext | None = None,
        limits: Limits | None = None,
    ) -> None:
        """`handler_of` is asked for each connection that stands; without `tls`, TLS is refused."""
        self._sockets = list(sockets)
        self._handler_of = handler_of
        self._tls = tls
        self._limits = limits or Limits()
        self._admission = Admission(self._limits)
        self._waiting: dict[socket.socket, _Waiting] = {}
        self._beginning: set[asyncio.Task[None]] = set()
        """of connections that do not stand yet."""
        self._connections: set[Connection] = set()
        self._may_accept = Bucket(self._limits.accepts, self._limits.accept_rate, 0.0)
        self._may_greet = Bucket(self._limits.handshakes, self._limits.handshake_rate, 0.0)
        self._timer: asyncio.TimerHandle | None = None
        self._again: asyncio.TimerHandle | None = None
        self.counts = Counts()

    @property
    def ports(self) -> list[int]:
        """Where it listens."""
        return sorted({int(sock.getsockname()[1]) for sock in self._sockets})

    @property
    def connections(self) -> list[Connection]:
        """Those that stand."""
        return list(self._connections)

    def start(self) -> None:
        """Begin."""
        self._resume()
        self._timer = asyncio.get_running_loop().call_later(self._limits.look, self._sweep)

    def close(self) -> None:
        """Stop listening, and close every connection."""
        self._listen_not()
        for timer in filter(None, (self._timer, self._again)):
            timer.cancel()
        for sock in self._sockets:
            sock.close()
        for sock in list(self._waiting):
            self._drop(sock)
        for task in list(self._beginning):
            task.cancel()
        for connection in self.connections:
            connection.close()

    # Accepting

    def _resume(self) -> None:
        for sock in self._sockets:
            asyncio.get_running_loop().add_reader(sock, self._accept, sock)

    def _pause(self) -> None:
        """What connects meanwhile waits in the system's queue, and is turned away by the system when that is full."""
        self._listen_not()
        self._again = asyncio.get_running_loop().call_later(_PAUSE, self._resume)

    def _listen_not(self) -> None:
        for sock in self._sockets:
            asyncio.get_running_loop().remove_reader(sock)

    def _accept(self, listening: socket.socket) -> None:
        now = asyncio.get_running_loop().time()
        for _ in range(_TURN):
            if self._may_accept.left(now) < 1:
                self._pause()
                return
            try:
                sock, place = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._handle_refusal(error)
                return
            self._may_accept.spend(1.0 if self._admit(sock, str(place[0]), now) else _REFUSED)

    def _handle_refusal(self, error: OSError) -> None:
        """Of the system: no more files or memory, which others may give back soon."""
        if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
            return
        self._count_refused("files")
        self._pause()

    def _admit(self, sock: socket.socket, address: str, now: float) -> bool:
        limit = self._admission.admit(address, now)
        if limit is not None:
            self._count_refused(limit)
            sock.close()
            return False
        self.counts.accepted += 1
        sock.setblocking(False)
        tune(sock)
        self._waiting[sock] = _Waiting(address, now + self._limits.first_byte)
        asyncio.get_running_loop().add_reader(sock, self._look, sock)
        return True

    def _count_refused(self, limit: str) -> None:
        self.counts.refused[limit] = self.counts.refused.get(limit, 0) + 1

    # What it is

    def _look(self, sock: socket.socket) -> None:
        """A handshake, or a request? The byte stays where it is."""
        try:
            first = sock.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            first = b""
        if not first or (first == _HANDSHAKE and self._tls is None):
            self._drop(sock)
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(sock)
        if first == _HANDSHAKE and not self._may_greet.take(loop.time()):
            loop.call_later(_PAUSE, self._look_again, sock)
            return
        address = self._waiting.pop(sock).address
        task = loop.create_task(self._begin(sock, address, tls=first == _HANDSHAKE))
        self._beginning.add(task)
        task.add_done_callback(self._beginning.discard)

    def _look_again(self, sock: socket.socket) -> None:
        if sock in self._waiting:
            asyncio.get_running_loop().add_reader(sock, self._look, sock)

    async def _begin(self, sock: socket.socket, address: str, *, tls: bool) -> None:
        connection = Connection(self._handle_standing, limits=self._limits)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection,
                sock,
                ssl=self._tls if tls else None,
                ssl_handshake_timeout=self._limits.request if tls else None,
            )
            self._beginning.discard(asyncio.current_task())
            await connection.ended.wait()
        except OSError:  # a handshake that failed, or took too long
            self.counts.tls_failed += 1
        finally:
            self._connections.discard(connection)
            self._admission.release(address)

    def _handle_standing(self, connection: Connection) -> Handler:
        self._connections.add(connection)
        return self._handler_of(connection)

    def _drop(self, sock: socket.socket) -> None:
        asyncio.get_running_loop().remove_reader(sock)
        self._admission.release(self._waiting.pop(sock).address)
        sock.close()

    # Who takes too long

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._limits.look, self._sweep)
        now = loop.time()
        for sock in [sock for sock, waiting in self._waiting.items() if now > waiting.until]:
            self.counts.silent += 1
            self._drop(sock)
        for connection in self.connections:
            self._look_after(connection, now)
        self._relieve()

    def _look_after(self, connection: Connection, now: float) -> None:
        silence = now - connection.heard
        begun = connection.begun if connection.messages else connection.heard
        if begun is not None and now - begun > self._limits.request:
            self.counts.silent += 1
            connection.abort("no whole request came")
        elif connection.messages and not connection.kept and silence > self._limits.idle:
            self.counts.idle += 1
            connection.close(f"nothing came for {silence:.0f} s")

    def _relieve(self) -> None:
        held = sum(connection.held for connection in self._connections) - self._limits.held
        if held <= 0:
            return
        for connection in sorted(self._connections, key=lambda connection: -connection.held):
            self.counts.greedy += 1
            held -= connection.held
            connection.abort("too much waits, most of it for this one")
            if held <= 0:
                return


def _places(host: str | None, port: int, family: int) -> list[tuple[int, tuple[object, ...]]]:
    """(address family, socket address) of each socket to open. Raises OSError."""
    if host is None and not family and socket.has_dualstack_ipv6():
        return [(socket.AF_INET6, ("::", port))]
    wanted = {0: socket.AF_UNSPEC, 4: socket.AF_INET, 6: socket.AF_INET6}[family]
    found = socket.getaddrinfo(host, port, wanted, socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return [(int(found[0][0]), found[0][4])]


def _open(kind: int, place: tuple[object, ...], *, dual: bool) -> socket.socket:
    sock = socket.socket(kind, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if os.name == "posix":  # elsewhere it would let two programs listen on one port
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if kind == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not dual)
        sock.bind(place)
        sock.listen(_BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _explained(error: OSError, host: str | None, port: int, hint: str) -> FatalError:
    if error.errno == errno.EADDRINUSE:
        return ResourceError(f"TCP port {port} is in use: stop the other program, or {hint}")
    if error.errno == errno.EADDRNOTAVAIL:
        return UsageError(f"{host} is not an address of this machine; give one that is, or only a port")
    if error.errno in (errno.EACCES, errno.EPERM):
        return ResourceError(f"TCP port {port} is not allowed to this user: {hint}, above 1023")
    return ResourceError(f"cannot listen on TCP port {port}: {error.strerror}")
