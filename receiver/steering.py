"""A queue of its own for each sender that is known, so that a flood on our port fills another than theirs.

A datagram goes to the socket that matches it best, and a connected one matches its peer best of all (udp(7)). On Linux
SO_REUSEPORT lets sockets share a port; what no connected one takes, a classic BPF program gives to the first of them
(socket(7)).
"""

from __future__ import annotations

import ctypes
import socket
import struct
import time
from collections.abc import Iterator, Set
from contextlib import suppress

from receiver.queue import Queue, UdpPath
from receiver.sockets import may_share, twin

MOST = 64
"""queues of senders on one port."""
_CHOOSE = 51
"""SO_ATTACH_REUSEPORT_CBPF (asm-generic/socket.h)."""
_ALWAYS_THE_FIRST = struct.pack("=HBBI", 0x06, 0, 0, 0)
"""BPF_RET | BPF_K of 0."""


class Port:
    """The queues of one of our ports: everybody's, and those of the senders that are known."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self._main = Queue(sock)
        self._own: dict[UdpPath, Queue] = {}
        self._catch_up = 0
        """kernel stamp (Unix ns) up to which the main queue may hold datagrams of a sender that has its own now."""
        self._shareable = may_share(sock) and _attach(sock, _ALWAYS_THE_FIRST)

    @property
    def number(self) -> int:
        return self._main.port

    @property
    def queues(self) -> list[Queue]:
        return [*self._own.values(), self._main]

    @property
    def is_shared(self) -> bool:
        """Whether known senders have queues of their own."""
        return bool(self._own)

    def steer(self, known: Set[UdpPath]) -> None:
        """These have queues of their own from now on, MOST of them; none has where the platform cannot."""
        if known == self._own.keys() or not self._shareable:
            return
        for path in self._own.keys() - known:
            self._own.pop(path).socket.close()
        for path in known - self._own.keys():
            if len(self._own) < MOST:
                self._split(path)

    def close(self) -> None:
        """All its sockets."""
        for queue in self.queues:
            queue.socket.close()

    def _split(self, path: UdpPath) -> None:
        with suppress(OSError):
            self._own[path] = Queue(twin(self.socket, path.address), steered=True)
            self._catch_up, self._main.emptied = time.time_ns(), False

    def readable(self, *, strangers: bool) -> list[Queue]:
        """Those to wait for; without `strangers`, only the queues of known senders where there are any."""
        return self.queues if strangers or not self._own or self._catch_up else list(self._own.values())

    def reading(self, *, strangers: bool) -> Iterator[Queue]:
        """Those to read now, in this order: each is read before the next is asked for."""
        if self._catch_up or not self._own:
            yield self._main
            if self._main.emptied or self._main.newest_stamp >= self._catch_up:
                self._catch_up = 0
                yield from self._own.values()
            return
        yield from self._own.values()
        if strangers:
            yield self._main


def _attach(sock: socket.socket, code: bytes) -> bool:
    room = ctypes.create_string_buffer(code, len(code))
    try:
        sock.setsockopt(socket.SOL_SOCKET, _CHOOSE, struct.pack("@HP", len(code) // 8, ctypes.addressof(room)))
    except OSError:
        return False
    return True
