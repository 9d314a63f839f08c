"""One UDP socket, with everything the command line can ask of it."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys

from protocol.errors import ResourceError, UsageError
from sender.config import SenderConfig
from sender.resolve import SocketAddress, interface_index, is_multicast, resolve

SOL_UDP, UDP_SEGMENT = 17, 103  # linux/udp.h
IP_RECVERR, IPV6_RECVERR = 11, 25  # linux/in.h, linux/in6.h
_LINUX = sys.platform == "linux"
_SEND_BUFFER = 1 << 20
_ANY = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}


def open_socket(
    config: SenderConfig, family: int, destination: SocketAddress | None, port: int = 0, host: str | None = None
) -> socket.socket:
    """A non-blocking socket for datagrams to `destination` (None: to many, none of them a group), bound to a local port
    (0: any) of `host` (None: as the configuration says)."""
    opened = socket.socket(family, socket.SOCK_DGRAM)
    try:
        opened.setblocking(False)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        _ask_for_refusals(opened)
        _set_dscp(opened, config.dscp)
        if destination is not None and is_multicast(destination):
            _set_multicast(opened, config)
        elif config.interface is not None:
            _bind_to_interface(opened, config.interface)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        _bind(opened, host or config.bind, port)
    except BaseException:
        opened.close()
        raise
    return opened


def open_pair(
    config: SenderConfig, family: int, destination: SocketAddress | None, host: str | None = None, port: int = 0
) -> tuple[socket.socket, socket.socket]:
    """Sockets for RTP and RTCP: `port` and the one above; 0: an even one and the odd one above (RFC 3550 §11) where two
    such are free."""
    if port:
        rtp = open_socket(config, family, destination, port, host)
        try:
            return rtp, open_socket(config, family, destination, port + 1, host)
        except ResourceError:
            rtp.close()
            raise
    for _ in range(32):
        rtp = open_socket(config, family, destination, host=host)
        port = rtp.getsockname()[1]
        if port % 2 == 0:
            with contextlib.suppress(ResourceError):
                return rtp, open_socket(config, family, destination, port + 1, host)
        rtp.close()
    return open_socket(config, family, destination, host=host), open_socket(config, family, destination, host=host)


def segments_supported(opened: socket.socket) -> bool:
    """Whether one call can hand over many datagrams (UDP_SEGMENT)."""
    try:
        opened.setsockopt(SOL_UDP, UDP_SEGMENT, 0)
    except OSError:
        return False
    return _LINUX


def _ask_for_refusals(opened: socket.socket) -> None:
    """ICMP errors of unconnected sockets, with the address that refused: Linux only."""
    if not _LINUX:
        return
    if opened.family == socket.AF_INET:
        opened.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
    else:
        opened.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)


def _set_dscp(opened: socket.socket, dscp: int | None) -> None:
    if dscp is None:
        return
    if opened.family == socket.AF_INET:
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, dscp << 2)
    else:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, dscp << 2)


def _set_multicast(opened: socket.socket, config: SenderConfig) -> None:
    index = interface_index(config.interface) if config.interface is not None else 0
    if opened.family == socket.AF_INET:
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, config.ttl)
        if index:  # struct ip_mreqn: group, local address, interface
            opened.setsockopt(
                socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("=4s4si", bytes(4), bytes(4), index)
            )
    else:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, config.ttl)
        if index:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)


def _bind_to_interface(opened: socket.socket, name: str) -> None:
    interface_index(name)
    if not hasattr(socket, "SO_BINDTODEVICE"):
        raise UsageError("--interface works for multicast targets only on this system; use --bind ADDRESS")
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name.encode())
    except OSError as error:
        raise ResourceError(f"cannot send through {name}: {error.strerror}; use --bind ADDRESS") from error


def _bind(opened: socket.socket, host: str | None, port: int) -> None:
    if host is None:
        address: SocketAddress = (_ANY[socket.AddressFamily(opened.family)], port)
    else:
        address = resolve(host, port, 4 if opened.family == socket.AF_INET else 6)[1]
    try:
        opened.bind(address)
    except OSError as error:
        where = f"{host} port {port}" if port else f"{host}"
        raise ResourceError(f"cannot bind to {where}: {error.strerror}; is it an address of this machine?") from error
