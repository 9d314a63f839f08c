"""A UDP relay on loopback that does to each datagram of media what a rule says, and counts. TCP passes untouched."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

LOCAL = "127.0.0.1"
Copies = Callable[[int], int]
"""place of a datagram of media, from 0 → how many copies of it leave."""
IsMedia = Callable[[bytes], bool]


class Relay:
    """From its own `port` to `target`, and what comes back to whoever sent last."""

    def __init__(self, target: int, is_media: IsMedia, copies: Copies, *, tcp: bool = False) -> None:
        self._target = (LOCAL, target)
        self._is_media, self._copies = is_media, copies
        self.sent = self.lost = self.duplicated = 0
        """of media, by the sender and by this relay."""
        self._front, self._back = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        self._front.bind((LOCAL, 0))
        self.port: int = self._front.getsockname()[1]
        self._back.connect(self._target)
        self._stop = threading.Event()
        self._client: tuple[str, int] | None = None
        works = [self._forth, self._home]
        self._listener = socket.create_server((LOCAL, self.port)) if tcp else None
        if self._listener is not None:
            works.append(self._accept)
        self._sockets = [self._front, self._back, *([self._listener] if self._listener else [])]
        for each in self._sockets:
            each.settimeout(0.1)
        self._threads = [threading.Thread(target=work, daemon=True) for work in works]

    def __enter__(self) -> Relay:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(2)
        for each in self._sockets:
            each.close()

    def _forth(self) -> None:
        while not self._stop.is_set():
            try:
                data, self._client = self._front.recvfrom(65_536)
                for _ in range(self._copies_of(data)):
                    self._back.send(data)
            except (TimeoutError, ConnectionError):
                continue

    def _copies_of(self, data: bytes) -> int:
        if not self._is_media(data):
            return 1
        copies = self._copies(self.sent)
        self.sent += 1
        self.lost += copies == 0
        self.duplicated += max(0, copies - 1)
        return copies

    def _home(self) -> None:
        while not self._stop.is_set():
            try:
                data = self._back.recv(65_536)
            except (TimeoutError, ConnectionError):
                continue
            if self._client is not None:
                self._front.sendto(data, self._client)

    def _accept(self) -> None:
        assert self._listener is not None
        while not self._stop.is_set():
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            threading.Thread(target=_join, args=(client, socket.create_connection(self._target)), daemon=True).start()


def _join(client: socket.socket, server: socket.socket) -> None:
    """One connection, until both sides have ended it."""
    with client, server:
        back = threading.Thread(target=_pour, args=(server, client), daemon=True)
        back.start()
        _pour(client, server)
        back.join(5)


def _pour(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65_536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return
