"""The HTTP server of `--dashboard`: a few threads of its own, so that no client can hold up the receiver."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import socketserver
import sys
import threading
from functools import partial

from protocol.command.address import host_port
from protocol.errors import FatalError, ResourceError, UsageError
from receiver.report.snapshot import Snapshot
from receiver.report.web.access import Access
from receiver.report.web.feed import Feed, Report
from receiver.report.web.files import files
from receiver.report.web.handler import Handler, Site
from receiver.report.web.picture import Pictures, Source

DEFAULT_ADDRESS = "127.0.0.1:8466"
CLIENTS = 32
"""requests answered at once; a page needs two or three."""
_BUSY = b"HTTP/1.0 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"
_STOP_POLL = 0.2


def dashboard_address(text: str) -> tuple[str, int]:
    """`[HOST]:PORT` or PORT; without a host, only this machine. Raises UsageError."""
    default_host, default_port = host_port(DEFAULT_ADDRESS)
    host, port = host_port(f":{text}" if text.isdecimal() else text, default_port)
    return host or default_host, port


class Dashboard:
    """Serves from the moment it is made until `close`.

    `report` makes the JSON object of a snapshot, `picture` gives the image shown last: both are called on threads of
    the server, and only when somebody asks. Raises UsageError or ResourceError when it cannot listen.
    """

    def __init__(
        self, address: tuple[str, int], report: Report, picture: Source | None = None, *, token: str | None = None
    ) -> None:
        files()  # says now what is missing
        host = address[0]
        self._feed = Feed(report)
        listener, sockaddr = _listen(*address)
        port = listener.getsockname()[1]
        access = Access([host, socket.gethostname()], port, token)
        site = Site(access, self._feed, None if picture is None else Pictures(picture))
        self._server = _Server(listener, sockaddr, site)
        self.url = f"http://{_reachable(sockaddr[0])}:{port}/?token={access.token}"
        """with the token: what the user opens."""
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_STOP_POLL,), name="dashboard", daemon=True
        )
        self._thread.start()

    def publish(self, snapshot: Snapshot) -> None:
        """The newest snapshot: once a second. Never waits for a client."""
        self._feed.publish(snapshot)

    def close(self) -> None:
        """Ends every connection."""
        self._feed.close()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(1.0)


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """A thread for each request, of a limited number: who comes when all are taken is told to come again."""

    daemon_threads = True

    def __init__(self, listener: socket.socket, address: tuple[str, int], site: Site) -> None:
        super().__init__(address, partial(Handler, site), bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self._places = threading.BoundedSemaphore(CLIENTS)

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        assert isinstance(request, socket.socket)
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
            return
        request.setblocking(False)
        with contextlib.suppress(OSError):
            request.send(_BUSY)
        self.shutdown_request(request)

    def process_request_thread(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        """A client that went away or was too slow is no error of ours; the rest is, and is shown."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def _listen(host: str, port: int) -> tuple[socket.socket, tuple[str, int]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise UsageError(
            f"--dashboard: {host!r} is no address of this machine; give one that is, or only a port"
        ) from (error)
    family, kind, protocol, _, sockaddr = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # elsewhere it would let two programs listen on one port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(sockaddr)
        listener.listen(CLIENTS)
    except OSError as error:
        listener.close()
        raise _explained(error, host, port) from error
    return listener, (str(sockaddr[0]), port)


def _explained(error: OSError, host: str, port: int) -> FatalError:
    if error.errno == errno.EADDRINUSE:
        return ResourceError(f"--dashboard: TCP port {port} is in use; stop the other program or give another port")
    if error.errno == errno.EADDRNOTAVAIL:
        return UsageError(f"--dashboard: {host} is not an address of this machine; give one that is, or only a port")
    if error.errno in (errno.EACCES, errno.EPERM):
        return UsageError(f"--dashboard: port {port} needs privileges; give one from 1024 on")
    return ResourceError(f"--dashboard cannot listen on {host}:{port}: {error.strerror}")


def _reachable(address: str) -> str:
    """What a browser can open: a name of this machine when it listens on every address."""
    if address in ("0.0.0.0", "::"):
        return socket.gethostname()
    return f"[{address}]" if ":" in address else address
