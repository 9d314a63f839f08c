"""Opening the receiver's UDP sockets: addresses, multicast groups, and what the platform can tell about datagrams."""

from __future__ import annotations

import errno
import ipaddress
import socket
import struct
import sys
from typing import Any

from protocol.errors import FatalError, ResourceError, UsageError

RECEIVE_BUFFER = 4_000_000
LINUX = sys.platform == "linux"
# Linux, asm-generic/socket.h and linux/udp.h; not in Python's socket module.
SO_TIMESTAMPNS = 35
SO_RXQ_OVFL = 40
SO_MEMINFO = 55
UDP_GRO = 104
SOL_UDP = 17
_MEMINFO = struct.Struct("=9I")
_MEMINFO_DROPS = 8


def open_socket(host: str | None, port: int, *, interface: str | None, family: int, gro: bool) -> socket.socket:
    """A bound, non-blocking UDP socket that stamps arrivals where the platform can.

    `host`: an address of this machine, a multicast group to join, or None for all addresses (both families where
    possible). `family`: 4, 6, or 0 for either. Raises UsageError or ResourceError.
    """
    index = interface_index(interface)
    kind, address = _resolve(host, family)
    dual = host is None and not family and kind == socket.AF_INET6
    try:
        sock = socket.socket(kind, socket.SOCK_DGRAM)
    except OSError as error:
        raise ResourceError(f"cannot open a UDP socket: {error.strerror}") from error
    try:
        _set_options(sock, gro=gro)
        if kind == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not dual)
        group = host is not None and ipaddress.ip_address(address.partition("%")[0]).is_multicast
        if group:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        elif interface is not None:
            _bind_to_device(sock, interface)
        place = (address, port, 0, index) if kind == socket.AF_INET6 else (address, port)
        if LINUX and not group:
            _make_shareable(sock, kind, place)
        sock.bind(place)
        if group:
            _join(sock, kind, address, index)
    except FatalError:
        sock.close()
        raise
    except OSError as error:
        sock.close()
        raise _explained(error, address, port) from error
    return sock


def _make_shareable(sock: socket.socket, kind: socket.AddressFamily, place: tuple[Any, ...]) -> None:
    """Lets `twin` share the port, and nobody else: one that is in use is still an error. Raises OSError."""
    if place[1]:
        with socket.socket(kind, socket.SOCK_DGRAM) as probe:
            if kind == socket.AF_INET6:
                only = sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
            probe.bind(place)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)


def may_share(sock: socket.socket) -> bool:
    """Whether `twin` can be made of it. Of what comes to a multicast group each of several sockets gets a copy."""
    group = ipaddress.ip_address(str(sock.getsockname()[0]).partition("%")[0]).is_multicast
    return LINUX and not group and bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT))


def twin(sock: socket.socket, peer: tuple[Any, ...]) -> socket.socket:
    """Another socket with the address and the options of this bound one, for datagrams from `peer`. Raises OSError."""
    other = socket.socket(sock.family, socket.SOCK_DGRAM)
    try:
        _set_options(other, gro=aggregates(sock))
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if sock.family == socket.AF_INET6:
            only = sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
            other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
        device = sock.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16)
        other.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device)
        other.bind(sock.getsockname())
        other.connect(peer)
    except OSError:
        other.close()
        raise
    return other


def interface_index(name: str | None) -> int:
    """0 for None; raises UsageError where there is no such interface."""
    if name is None:
        return 0
    try:
        return socket.if_nametoindex(name)
    except OSError as error:
        names = ", ".join(n for _, n in socket.if_nameindex())
        raise UsageError(f"no network interface {name}; this machine has {names}") from error


def receive_buffer_size(sock: socket.socket) -> int:
    """Bytes the kernel granted; Linux reports the double, its own bookkeeping included."""
    size = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    return size // 2 if LINUX else size


def kernel_drops(sock: socket.socket) -> int | None:
    """Datagrams (with GRO: aggregates) dropped since the socket was opened; None where the platform does not say."""
    if not LINUX:
        return None
    try:
        info = sock.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, _MEMINFO.size)
    except OSError:
        return None
    return int(_MEMINFO.unpack(info)[_MEMINFO_DROPS]) if len(info) == _MEMINFO.size else None


def aggregates(sock: socket.socket) -> bool:
    """Whether the kernel may hand over several datagrams as one (UDP_GRO)."""
    try:
        return LINUX and bool(sock.getsockopt(SOL_UDP, UDP_GRO))
    except OSError:
        return False


def _resolve(host: str | None, family: int) -> tuple[socket.AddressFamily, str]:
    wanted = {0: socket.AF_UNSPEC, 4: socket.AF_INET, 6: socket.AF_INET6}[family]
    if host is None:
        return (socket.AF_INET6, "::") if family == 6 or (not family and _has_ipv6()) else (socket.AF_INET, "0.0.0.0")
    try:
        found = socket.getaddrinfo(host, None, wanted, socket.SOCK_DGRAM)
    except (socket.gaierror, UnicodeError) as error:
        raise UsageError(f"no address found for {host}; give an address of this machine, or only a port") from error
    return found[0][0], str(found[0][4][0])


def _has_ipv6() -> bool:
    """Whether an IPv6 socket can be bound and takes IPv4 as well."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            probe.bind(("::", 0))
    except OSError:
        return False
    return True


def _set_options(sock: socket.socket, *, gro: bool) -> None:
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    if not LINUX:
        return
    wanted = [(socket.SOL_SOCKET, SO_TIMESTAMPNS), (socket.SOL_SOCKET, SO_RXQ_OVFL)]
    if gro:
        wanted.append((SOL_UDP, UDP_GRO))
    for level, option in wanted:
        try:
            sock.setsockopt(level, option, 1)
        except OSError:  # an older kernel: datagrams come one by one, or are stamped when they are read
            continue


def _bind_to_device(sock: socket.socket, interface: str) -> None:
    if not hasattr(socket, "SO_BINDTODEVICE"):
        raise UsageError("--interface needs a multicast group here; give the interface's address instead")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")


def _join(sock: socket.socket, kind: int, group: str, index: int) -> None:
    if kind == socket.AF_INET6:
        member = socket.inet_pton(socket.AF_INET6, group.partition("%")[0]) + struct.pack("@I", index)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member)
    else:
        member = socket.inet_aton(group) + socket.inet_aton("0.0.0.0") + struct.pack("@i", index)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)


def _explained(error: OSError, address: str, port: int) -> FatalError:
    if error.errno == errno.EADDRINUSE:
        return ResourceError(f"UDP port {port} is in use; stop the other program or give another port")
    if error.errno == errno.EADDRNOTAVAIL:
        return UsageError(f"{address} is not an address of this machine; give one that is, or only a port")
    if error.errno in (errno.EACCES, errno.EPERM):
        return ResourceError(f"UDP port {port} is not allowed to this user; give a port above 1023")
    if error.errno == errno.ENODEV:
        return UsageError(f"no network interface can join {address}; give one with --interface")
    return ResourceError(f"cannot listen on {address} port {port}: {error.strerror}")
