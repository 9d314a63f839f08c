"""pcapng's blocks as octets, little endian (draft-ietf-opsawg-pcapng §4): what the writer writes, and the numbers that
reader and writer share."""

from __future__ import annotations

import struct
from collections.abc import Iterable

SECTION, INTERFACE, PACKET, SIMPLE_PACKET, STATISTICS, ENHANCED_PACKET = 0x0A0D0D0A, 1, 2, 3, 5, 6
SECTION_OCTETS = b"\x0a\x0d\x0d\x0a"
CUSTOM_KEPT, CUSTOM = 0x00000BAD, 0x40000BAD
"""custom blocks that tools may copy to another file, and those that they must not."""
SHB_USERAPPL, IF_NAME, IF_DESCRIPTION, IF_TSRESOL, IF_TSOFFSET = 4, 2, 3, 9, 14
EPB_FLAGS, EPB_DROPCOUNT = 2, 4
ISB_STARTTIME, ISB_ENDTIME, ISB_IFRECV, ISB_IFDROP, ISB_OSDROP, ISB_USRDELIV = 2, 3, 4, 5, 7, 8
INBOUND, OUTBOUND = 1, 2
"""the direction in epb_flags."""

_NUMBER = 32473
"""The enterprise number that RFC 5612 sets aside for documentation: the project has none of its own, so the eight
octets after it tell our blocks from other people's."""
_NAME = b"STDYCAST"
OWNER = {order: struct.pack(order + "I", _NUMBER) + _NAME for order in "<>"}
"""what the body of a custom block of ours begins with, by byte order; its kind (32 bits) follows."""

_ENHANCED = struct.Struct("<IIIIIII")
_DIRECTIONS = {direction: struct.pack("<HHI", EPB_FLAGS, 4, direction) for direction in (INBOUND, OUTBOUND)}
_LENGTH = struct.Struct("<I")


def block(kind: int, body: bytes) -> bytes:
    """Any block."""
    size = 12 + len(body) + -len(body) % 4
    return struct.pack("<II", kind, size) + body + bytes(-len(body) % 4) + struct.pack("<I", size)


def options(values: Iterable[tuple[int, bytes]]) -> bytes:
    """(code, value) each, and the end of options."""
    return b"".join(struct.pack("<HH", code, len(v)) + v + bytes(-len(v) % 4) for code, v in values) + bytes(4)


def section(application: str) -> bytes:
    """The section header: length unknown, written by `application`."""
    body = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)
    return block(SECTION, body + options([(SHB_USERAPPL, application.encode())]))


def interface(link: int, name: str, description: str) -> bytes:
    """An interface whose stamps are ns."""
    told = [(IF_NAME, name.encode()), (IF_DESCRIPTION, description.encode()), (IF_TSRESOL, b"\x09")]
    return block(INTERFACE, struct.pack("<HHI", link, 0, 0) + options(told))


def packet(time: int, header: bytes, payload: bytes | memoryview, direction: int, dropped: int = 0) -> bytes:
    """An enhanced packet block of interface 0: `header` and `payload` in a row, stamped with Unix ns; `dropped` packets
    were lost between the one before and this."""
    length = len(header) + len(payload)
    counted = struct.pack("<HHQ", EPB_DROPCOUNT, 8, dropped) if dropped else b""
    tail = _DIRECTIONS[direction] + counted + bytes(4)
    size = 32 + length + -length % 4 + len(tail)
    head = _ENHANCED.pack(ENHANCED_PACKET, size, 0, time >> 32 & 0xFFFF_FFFF, time & 0xFFFF_FFFF, length, length)
    return b"".join((head, header, payload, bytes(-length % 4), tail, _LENGTH.pack(size)))


def note(kind: int, body: bytes) -> bytes:
    """A custom block of ours. Tools that change a capture must drop it: it would not fit the packets any more."""
    return block(CUSTOM, OWNER["<"] + struct.pack("<I", kind) + body)


def statistics(time: int, began: int, received: int, dropped: int | None, written: int) -> bytes:
    """Interface statistics at `time` since `began` (Unix ns): datagrams that came to the socket, that the system
    dropped there (None: unknown), and that are in this file."""
    told = [
        (ISB_STARTTIME, _stamp(began)),
        (ISB_ENDTIME, _stamp(time)),
        (ISB_IFRECV, struct.pack("<Q", received)),
        (ISB_USRDELIV, struct.pack("<Q", written)),
    ]
    if dropped is not None:
        told.insert(3, (ISB_OSDROP, struct.pack("<Q", dropped)))
    return block(STATISTICS, struct.pack("<I", 0) + _stamp(time) + options(told))


def _stamp(time: int) -> bytes:
    return struct.pack("<II", time >> 32 & 0xFFFF_FFFF, time & 0xFFFF_FFFF)
