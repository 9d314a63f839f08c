"""Opening a control connection: to the first address of the host that answers, in a bounded time."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Any

from protocol.control.connection import Connection, Handler
from protocol.control.tcp import tune
from protocol.errors import FatalError, NoPeerError, ResourceError, UsageError

SocketAddress = tuple[Any, ...]
"""(host, port) or (host, port, flow, scope), as the socket module takes it."""
TIMEOUT = 5.0
"""s for the connection, and as many for the handshake."""
_NEXT_ADDRESS = 0.25
"""s until the next address of the host is tried beside the first (RFC 8305 §5)."""
_FAMILIES = {0: socket.AF_UNSPEC, 4: socket.AF_INET, 6: socket.AF_INET6}


async def connect(
    host: str,
    port: int,
    handler_of: Callable[[Connection], Handler],
    *,
    tls: ssl.SSLContext | None = None,
    family: int = 0,
    bind: str | None = None,
    timeout: float = TIMEOUT,
) -> Connection:
    """A connection that stands. `bind`: the address of this machine to come from; `family`: 4, 6, or 0 for either.

    Raises UsageError for a host that does not exist, NoPeerError where nobody answers, ResourceError where it is
    this machine that refuses, and ssl.SSLError where the handshake fails, which whoever gave `tls` explains.
    """
    connection = Connection(handler_of)
    try:
        async with asyncio.timeout(timeout):
            sock = await _first_that_answers(await _resolve(host, port, family), bind)
        async with asyncio.timeout(timeout):
            await asyncio.get_running_loop().create_connection(
                lambda: connection,
                sock=sock,
                ssl=tls,
                server_hostname=host if tls is not None else None,
                ssl_handshake_timeout=None if tls is None else timeout,
            )
    except ssl.SSLError:
        raise
    except (OSError, UnicodeError) as error:
        raise _explained(error, host, port, bind) from error
    return connection


async def _resolve(host: str, port: int, family: int) -> list[tuple[int, SocketAddress]]:
    """(address family, socket address) of the host, the system's favourite first. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, family=_FAMILIES[family], type=socket.SOCK_STREAM)
    return list(dict.fromkeys((int(kind), place) for kind, _, _, _, place in found))


async def _first_that_answers(places: Sequence[tuple[int, SocketAddress]], bind: str | None) -> socket.socket:
    """A socket that is connected to one of them; each is tried a moment after the one before. Raises OSError."""
    waiting = list(places)
    running: set[asyncio.Task[socket.socket]] = set()
    errors: list[OSError] = []
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.ensure_future(_open(*waiting.pop(0), bind)))
            done, running = await asyncio.wait(
                running, timeout=_NEXT_ADDRESS if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            answered = [task.result() for task in done if task.exception() is None]
            errors += [error for task in done if isinstance(error := task.exception(), OSError)]
            for late in answered[1:]:
                late.close()
            if answered:
                return answered[0]
    finally:
        for task in running:
            task.cancel()
    raise _most_telling(errors)


async def _open(kind: int, place: SocketAddress, bind: str | None) -> socket.socket:
    sock = socket.socket(kind, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        tune(sock)
        if bind is not None:
            sock.bind((bind, 0))
        await asyncio.get_running_loop().sock_connect(sock, place)
    except BaseException:
        sock.close()
        raise
    return sock


def _most_telling(errors: Sequence[OSError]) -> OSError:
    """A refusal comes from the machine itself, the rest may be about the way there."""
    return next((error for error in errors if isinstance(error, ConnectionRefusedError)), errors[0])


def _explained(error: Exception, host: str, port: int, bind: str | None) -> FatalError:
    where = f"TCP port {port} of {host}"
    if isinstance(error, socket.gaierror | UnicodeError):
        return UsageError(f"no such host: {host}; check the name or give its address")
    if isinstance(error, ConnectionRefusedError):
        return NoPeerError(f"nobody listens on {where}")
    if isinstance(error, TimeoutError):
        return NoPeerError(f"no answer from {where}: is the machine on, and does its firewall let TCP in?")
    if isinstance(error, ConnectionError):
        return NoPeerError(f"{where} broke the connection off")
    number = getattr(error, "errno", None)
    if number in (errno.EADDRNOTAVAIL, errno.EINVAL) and bind is not None:
        return UsageError(f"--bind: cannot reach {host} from {bind}; is it an address of this machine?")
    if number in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
        return ResourceError(f"cannot open a connection to {host}: {getattr(error, 'strerror', error)}")
    return NoPeerError(f"cannot reach {where}: {getattr(error, 'strerror', None) or error}")
