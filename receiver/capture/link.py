"""From a captured packet to the UDP datagram inside: link layers, IPv4 and IPv6, fragments. Checksums are not looked
at: network cards fill them in after the capture."""

from __future__ import annotations

import struct
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import NamedTuple

from receiver.capture.records import Packet

LINKS = {
    0: "loopback (BSD)",
    1: "Ethernet",
    12: "raw IP",
    101: "raw IP",
    108: "loopback (OpenBSD)",
    113: "Linux cooked",
    228: "IPv4",
    229: "IPv6",
    276: "Linux cooked v2",
}
"""link types that are understood."""
_IPV4, _IPV6 = 0x0800, 0x86DD
_TAGS = {0x8100, 0x88A8, 0x9100}
"""VLAN: the type of what follows stands 4 octets on."""
_UDP, _FRAGMENT, _AUTHENTICATION = 17, 44, 51
_EXTENSIONS = {0, 43, 60, 135, 139, 140}
"""IPv6 extension headers that say their length in units of 8 octets (RFC 6564)."""
_MOST_FRAGMENTED = 64
"""packets of which fragments wait for the others."""
_PLACES = {1: (12, 14), 113: (14, 16), 276: (0, 20)}
"""link type → where the type of what follows stands, and where that begins."""
_IPV4_HEADER = struct.Struct("!xxHHHxBxx4s4s")
_UDP_HEADER = struct.Struct("!HHH")


class Datagram(NamedTuple):
    """UDP."""

    source: bytes
    """IP address, 4 or 16 octets."""
    source_port: int
    destination: bytes
    destination_port: int
    payload: bytes
    """as much of it as was captured."""
    length: int
    """octets it had."""


class _Ip(NamedTuple):
    source: bytes
    destination: bytes
    protocol: int
    body: bytes
    length: int
    """of the body on the wire."""


@dataclass(slots=True)
class _Pieces:
    """The fragments of one packet."""

    parts: dict[int, tuple[bytes, int]] = field(default_factory=dict)
    """offset → (captured, length)."""
    total: int | None = None

    def whole(self) -> tuple[bytes, int] | None:
        """(captured from the front, length) once every fragment is there."""
        at, data, complete = 0, b"", True
        while at in self.parts:
            part, length = self.parts[at]
            if complete:
                data += part
            complete &= len(part) == length
            at += length
            if not length:
                break
        return (data, at) if at == self.total else None


@dataclass(slots=True)
class Unwrapper:
    """Remembers fragments, and counts what holds no datagram."""

    other: int = 0
    """packets that are no UDP, or too short to tell."""
    fragments_alone: int = 0
    """fragments whose packet never was complete."""
    unknown_links: Counter[int] = field(default_factory=Counter)
    """packets of link types that are not understood."""
    _waiting: OrderedDict[tuple[bytes, bytes, int, int], _Pieces] = field(default_factory=OrderedDict)

    def unwrap(self, packet: Packet) -> Datagram | None:
        """None where there is none, or it is not complete yet."""
        if packet.link not in LINKS:
            self.unknown_links[packet.link] += 1
            return None
        ip = self._ip(packet)
        if ip is None:
            return None
        if ip.protocol != _UDP or len(ip.body) < 8:
            self.other += 1
            return None
        source_port, destination_port, told = _UDP_HEADER.unpack_from(ip.body)
        length = ip.length if not told or told > ip.length else told
        if length < 8:
            self.other += 1
            return None
        return Datagram(ip.source, source_port, ip.destination, destination_port, ip.body[8:length], length - 8)

    def finish(self) -> None:
        """The capture is over: what still waits for other fragments waits in vain."""
        self.fragments_alone += sum(len(pieces.parts) for pieces in self._waiting.values())
        self._waiting.clear()

    def _ip(self, packet: Packet) -> _Ip | None:
        """None where there is none, or it is not complete yet."""
        data = packet.data
        start = _ip_start(packet.link, data)
        missing = packet.length - len(data) if packet.length > len(data) else 0
        if start is not None and len(data) > start:
            version = data[start] >> 4
            if version == 4:
                return self._ipv4(data, start, missing)
            if version == 6:
                return self._ipv6(data, start, missing)
        self.other += 1
        return None

    def _ipv4(self, data: bytes, at: int, missing: int) -> _Ip | None:
        size = (data[at] & 15) * 4
        if size < 20 or len(data) < at + size:
            self.other += 1
            return None
        told, identification, offset, protocol, source, destination = _IPV4_HEADER.unpack_from(data, at)
        there = len(data) + missing - at  # a total length of 0: the card cuts it up later
        total = there if not told or told > there else told
        body, length = data[at + size : at + total], max(0, total - size)
        if not offset & 0x3FFF:
            return _Ip(source, destination, protocol, body, length)
        key = source, destination, protocol, identification
        return self._piece(key, (offset & 0x1FFF) * 8, bool(offset & 0x2000), body, length)

    def _ipv6(self, data: bytes, at: int, missing: int) -> _Ip | None:
        if len(data) < at + 40:
            self.other += 1
            return None
        there = len(data) + missing - at
        end = at + min(40 + (int.from_bytes(data[at + 4 : at + 6], "big") or there - 40), there)
        source, destination = data[at + 8 : at + 24], data[at + 24 : at + 40]
        following, here = data[at + 6], at + 40
        while following in _EXTENSIONS or following in (_FRAGMENT, _AUTHENTICATION):
            if here + 8 > min(end, len(data)):
                self.other += 1
                return None
            kind, following = following, data[here]
            if kind == _FRAGMENT:
                offset = int.from_bytes(data[here + 2 : here + 4], "big")
                key = source, destination, following, int.from_bytes(data[here + 4 : here + 8], "big")
                here += 8
                if offset & 0xFFF9:
                    return self._piece(key, offset & 0xFFF8, bool(offset & 1), data[here:end], end - here)
            else:
                here += (data[here + 1] + 2) * 4 if kind == _AUTHENTICATION else (data[here + 1] + 1) * 8
        return _Ip(source, destination, following, data[here:end], max(0, end - here))

    def _piece(
        self, key: tuple[bytes, bytes, int, int], offset: int, more: bool, body: bytes, length: int
    ) -> _Ip | None:
        """One fragment; the packet, once it is complete. Of later ones an extension header may stand before UDP: rare
        enough to be left out."""
        pieces = self._waiting.setdefault(key, _Pieces())
        pieces.parts[offset] = body, length
        if not more:
            pieces.total = offset + length
        whole = pieces.whole()
        if whole is not None:
            del self._waiting[key]
            return _Ip(key[0], key[1], key[2], *whole)
        if len(self._waiting) > _MOST_FRAGMENTED:
            self.fragments_alone += len(self._waiting.popitem(last=False)[1].parts)
        return None


def _ip_start(link: int, data: bytes) -> int | None:
    """Where the IP header begins; None where there is none."""
    if link in _PLACES:
        at, start = _PLACES[link]
        kind = int.from_bytes(data[at : at + 2], "big")
        while kind in _TAGS and start + 4 <= len(data):
            kind = int.from_bytes(data[start + 2 : start + 4], "big")
            start += 4
        return start if kind in (_IPV4, _IPV6) else None
    return 4 if link in (0, 108) else 0
