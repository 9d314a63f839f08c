"""Waiting for sockets, also for more of them than select can (FD_SETSIZE)."""

from __future__ import annotations

import select
import socket
from collections.abc import Sequence


def readable(sockets: Sequence[socket.socket], seconds: float | None) -> list[socket.socket]:
    """Those that can be read, once there is one or the time is over (None: there is no end)."""
    try:
        return select.select(sockets, [], [], seconds)[0]  # its time is finer than poll's milliseconds
    except ValueError:
        return _polled(sockets, seconds)


def _polled(sockets: Sequence[socket.socket], seconds: float | None) -> list[socket.socket]:
    files = {sock.fileno(): sock for sock in sockets}
    poll = select.poll()
    for file in files:
        poll.register(file, select.POLLIN)
    return [files[file] for file, _ in poll.poll(None if seconds is None else seconds * 1000)]
