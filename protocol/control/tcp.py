"""What both ends want of a TCP connection: no delay for small messages, and an end when the other machine is gone."""

from __future__ import annotations

import contextlib
import socket

_IDLE, _INTERVAL, _PROBES = 10, 3, 3
"""s of silence before the system asks whether the other machine is there; s between questions; how many."""
_UNACKNOWLEDGED = 20_000
"""ms that data may stay without an answer (RFC 5482)."""
_NOT_SENT = 128 * 1024
"""bytes the system queues beyond what is on its way: the rest waits with us, where it can be dropped."""
_OPTIONS = (
    ("TCP_NODELAY", 1),
    ("TCP_KEEPIDLE", _IDLE),
    ("TCP_KEEPALIVE", _IDLE),  # macOS' name
    ("TCP_KEEPINTVL", _INTERVAL),
    ("TCP_KEEPCNT", _PROBES),
    ("TCP_USER_TIMEOUT", _UNACKNOWLEDGED),
    ("TCP_NOTSENT_LOWAT", _NOT_SENT),
)


def tune(sock: socket.socket) -> None:
    """Set what this platform knows. A machine that is gone is noticed after some 20 s."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _OPTIONS:
        if hasattr(socket, name):
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
