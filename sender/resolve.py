"""Names of hosts and interfaces into addresses; what does not exist is a usage error of one line."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

from protocol.errors import UsageError

_FAMILIES = {0: socket.AF_UNSPEC, 4: socket.AF_INET, 6: socket.AF_INET6}
SocketAddress = tuple[Any, ...]
"""(host, port) or (host, port, flow, scope), as the socket module takes it."""


def resolve(host: str, port: int, family: int) -> tuple[int, SocketAddress]:
    """(address family, socket address) of a UDP destination; `family` is 4, 6, or 0 for either."""
    try:
        found = socket.getaddrinfo(host, port, _FAMILIES[family], socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        kind = f" with an IPv{family} address" if family else ""
        raise UsageError(
            f"no such host{kind}: {host} ({_reason(error)}); check the name or give its address"
        ) from error
    return int(found[0][0]), found[0][4]


def _reason(error: Exception) -> str:
    return str(error.strerror) if isinstance(error, OSError) and error.strerror else "not a host name"


def interface_index(name: str) -> int:
    """The system's number of a network interface."""
    try:
        return socket.if_nametoindex(name)
    except (OSError, ValueError) as error:
        names = ", ".join(known for _, known in socket.if_nameindex())
        raise UsageError(f"no such network interface: {name}; there are {names}") from error


def is_multicast(address: SocketAddress) -> bool:
    """Whether a socket address is a multicast group."""
    return ipaddress.ip_address(str(address[0]).partition("%")[0]).is_multicast
