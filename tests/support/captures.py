"""Capture files made by hand, octet by octet from the drafts of pcap and pcapng, and packets to put in them."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

SECOND = 1_000_000_000
CLIENT, SERVER = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
CLIENT6, SERVER6 = bytes.fromhex("20010db8" + "00" * 11 + "01"), bytes.fromhex("20010db8" + "00" * 11 + "02")


def rtp(
    sequence: int, timestamp: int, *, ssrc: int = 7, payload_type: int = 97, payload: bytes = b"\xf8" * 40
) -> bytes:
    """RFC 3550 §5.1; the default is Opus by our default map."""
    return struct.pack(">BBHII", 0x80, payload_type, sequence & 0xFFFF, timestamp & 0xFFFF_FFFF, ssrc) + payload


def udp(payload: bytes, ports: tuple[int, int] = (6000, 5004)) -> bytes:
    """Without a checksum."""
    return struct.pack(">HHHH", *ports, 8 + len(payload), 0) + payload


def ipv4(
    body: bytes, *, protocol: int = 17, options: bytes = b"", fragment: int = 0, number: int = 1,
    ends: tuple[bytes, bytes] = (CLIENT, SERVER),
) -> bytes:  # fmt: skip
    """`fragment`: flags and offset as they stand in the header."""
    words = 5 + len(options) // 4
    head = struct.pack(">BBHHHBBH", 0x40 | words, 0, words * 4 + len(body), number, fragment, 64, protocol, 0)
    return head + ends[0] + ends[1] + options + body


def ipv6(body: bytes, *, following: int = 17, ends: tuple[bytes, bytes] = (CLIENT6, SERVER6)) -> bytes:
    """`body` with its extension headers, the first of which is `following`."""
    return struct.pack(">IHBB", 6 << 28, len(body), following, 64) + ends[0] + ends[1] + body


def ethernet(body: bytes, kind: int = 0x0800, tags: Iterable[int] = ()) -> bytes:
    """`tags`: the types of VLAN tags before it."""
    vlans = b"".join(struct.pack(">HH", tag, 5) for tag in tags)
    return bytes(12) + vlans + struct.pack(">H", kind) + body


def pcap(
    packets: Iterable[tuple[int, bytes]],
    *,
    order: str = "<",
    nanoseconds: bool = False,
    link: int = 1,
    snap: int = 65535,
) -> bytes:
    """(Unix ns, packet) each; longer ones than `snap` are cut."""
    unit = 1 if nanoseconds else 1000
    data = struct.pack(order + "IHHiIII", 0xA1B23C4D if nanoseconds else 0xA1B2C3D4, 2, 4, 0, 0, snap, link)
    for time, packet in packets:
        kept = packet[:snap]
        data += struct.pack(order + "IIII", time // SECOND, time % SECOND // unit, len(kept), len(packet)) + kept
    return data


class Pcapng:
    """Blocks one after the other in `data`."""

    def __init__(self, order: str = "<") -> None:
        self.order = order
        self.data = b""

    def block(self, kind: int, body: bytes) -> Pcapng:
        body += bytes(-len(body) % 4)
        size = struct.pack(self.order + "I", 12 + len(body))
        self.data += struct.pack(self.order + "I", kind) + size + body + size
        return self

    def options(self, *options: tuple[int, bytes]) -> bytes:
        parts = [struct.pack(self.order + "HH", code, len(v)) + v + bytes(-len(v) % 4) for code, v in options]
        return b"".join(parts) + (bytes(4) if options else b"")

    def section(self) -> Pcapng:
        return self.block(0x0A0D0D0A, struct.pack(self.order + "IHHq", 0x1A2B3C4D, 1, 0, -1))

    def interface(self, link: int, *options: tuple[int, bytes], snap: int = 0) -> Pcapng:
        return self.block(1, struct.pack(self.order + "HHI", link, 0, snap) + self.options(*options))

    def enhanced(
        self, ticks: int, packet: bytes, *options: tuple[int, bytes], number: int = 0, length: int | None = None
    ) -> Pcapng:
        size = len(packet) if length is None else length
        head = struct.pack(self.order + "IIIII", number, ticks >> 32, ticks & 0xFFFF_FFFF, len(packet), size)
        return self.block(6, head + packet + bytes(-len(packet) % 4) + self.options(*options))

    def simple(self, packet: bytes, length: int | None = None) -> Pcapng:
        return self.block(3, struct.pack(self.order + "I", len(packet) if length is None else length) + packet)


def stream(
    count: int, *, first: int = 1_700_000_000 * SECOND, spacing: int = 20_000_000, lost: Iterable[int] = (),
    ssrc: int = 7, payload_type: int = 97, ports: tuple[int, int] = (6000, 5004), sequence: int = 65_530,
    ends: tuple[bytes, bytes] = (CLIENT, SERVER),
) -> list[tuple[int, bytes]]:  # fmt: skip
    """(Unix ns, IPv4 packet) of sound of 20 ms each, its numbers wrapping, without `lost`."""
    gone = set(lost)
    return [
        (
            first + i * spacing,
            ipv4(udp(rtp(sequence + i, 960 * i, ssrc=ssrc, payload_type=payload_type), ports), ends=ends),
        )
        for i in range(count)
        if i not in gone
    ]


def save(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
