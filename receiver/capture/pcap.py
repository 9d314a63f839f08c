"""Reading pcap (draft-ietf-opsawg-pcap): microseconds and nanoseconds, both byte orders."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from protocol.errors import Malformed, Truncated, Unsupported
from receiver.capture.records import MAX_PACKET, Packet, exactly

MAGICS = {
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\x3c\x4d": (">", 1),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
}
"""first octets → byte order, and ns in a unit of the stamps' second half."""


def read(file: BinaryIO) -> Iterator[Packet]:
    """Every packet, in the file's order. Raises Truncated or Malformed where the file goes wrong, after what came
    before; Unsupported for a version nobody writes."""
    order, unit = MAGICS[exactly(file, 4)]
    major, _minor, _zone, _figures, _snap, network = struct.unpack(order + "HHiIII", exactly(file, 20))
    if major != 2:
        raise Unsupported("capture_version", f"pcap {major}")
    link = network & 0xFFFF  # above: whether a checksum follows each frame
    header = struct.Struct(order + "IIII")
    while head := file.read(header.size):
        if len(head) < header.size:
            raise Truncated("capture_cut")
        seconds, fraction, captured, length = header.unpack(head)
        if captured > MAX_PACKET:
            raise Malformed("capture_packet", f"{captured} octets")
        yield Packet(seconds * 1_000_000_000 + fraction * unit, link, exactly(file, captured), length)
