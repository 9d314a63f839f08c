"""The IP and UDP headers of datagrams whose own the system has kept: addresses, ports and lengths are true, the rest is
what a datagram usually has."""

from __future__ import annotations

import ipaddress
import socket
import struct
from dataclasses import dataclass
from typing import Any

_UDP = 17
_HOPS = 64


@dataclass(frozen=True, slots=True)
class Ends:
    """Two ends of a flow: addresses of 4 or 16 octets, both of one family."""

    theirs: bytes
    their_port: int
    ours: bytes
    our_port: int

    def header(self, payload: bytes | memoryview, *, outbound: bool = False) -> bytes:
        """IP and UDP, right before `payload`."""
        source, destination = (self.ours, self.theirs) if outbound else (self.theirs, self.ours)
        ports = (self.our_port, self.their_port) if outbound else (self.their_port, self.our_port)
        length = 8 + len(payload)
        if len(source) == 4:
            return _ipv4(source, destination, length) + struct.pack(">HHHH", *ports, length, 0)
        udp = struct.pack(">HHHH", *ports, length, 0)
        pseudo = source + destination + struct.pack(">II", length, _UDP)
        checksum = _checksum(pseudo + udp + bytes(payload)) or 0xFFFF
        ip = struct.pack(">IHBB", 6 << 28, length, _UDP, _HOPS) + source + destination
        return ip + udp[:6] + checksum.to_bytes(2, "big")


def plain(address: tuple[Any, ...]) -> tuple[str, int]:
    """An address of the socket module as host and port, IPv4 also where IPv6 carries it: what a header says of it."""
    return str(ipaddress.ip_address(_octets(str(address[0])))), int(address[1])


def ends(address: tuple[Any, ...], our_port: int, host: str | None = None) -> Ends:
    """`address`: theirs, as the socket module has it. `host`: where we listen, when that is one address; otherwise the
    address that the system would answer from."""
    theirs = _octets(str(address[0]))
    ours = None if host is None else _octets(host)
    if ours is None or len(ours) != len(theirs) or not any(ours):
        ours = _ours(address, len(theirs))
    return Ends(theirs, int(address[1]), ours, our_port)


def _octets(host: str) -> bytes:
    """IPv4 also where IPv6 carries it."""
    try:
        found = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return bytes(4)
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).packed


def _ours(address: tuple[Any, ...], size: int) -> bytes:
    """Asks the system by connecting a socket, which sends nothing."""
    family = socket.AF_INET if size == 4 else socket.AF_INET6
    host = str(address[0]).removeprefix("::ffff:") if size == 4 else address[0]
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect((host, int(address[1]) or 9, *address[2:])[: 2 if size == 4 else 4])
            return _octets(sock.getsockname()[0])
    except OSError:
        return bytes(size)


def _ipv4(source: bytes, destination: bytes, length: int) -> bytes:
    header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + length, 0, 0x4000, _HOPS, _UDP, 0) + source + destination
    return header[:10] + _checksum(header).to_bytes(2, "big") + header[12:]


def _checksum(data: bytes) -> int:
    """RFC 1071: in ones' complement a sum of 16-bit words is the number itself modulo 65535."""
    number = int.from_bytes(data + bytes(len(data) % 2), "big")
    return 0xFFFF - (number % 0xFFFF or (0xFFFF if number else 0))
