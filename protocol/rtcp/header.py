"""The four octets every RTCP packet begins with (RFC 3550 §6.1), and checks its parsers share.

 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|V=2|P|  count  |  packet type  |     length in words, less 1   |
"""

from __future__ import annotations

import struct

from protocol.errors import Truncated

SENDER_REPORT = 200
RECEIVER_REPORT = 201
SOURCE_DESCRIPTION = 202
BYE = 203
APP = 204
TRANSPORT_FEEDBACK = 205
PAYLOAD_FEEDBACK = 206
EXTENDED_REPORT = 207

PACKET_TYPES = range(192, 224)
"""what RFC 5761 §4 leaves to RTCP, so that it can share a port with RTP."""

HEADER_SIZE = 4
MAX_COUNT = 31
_HEADER = struct.Struct("!BBH")


def pack(packet_type: int, count: int, body: bytes) -> bytes:
    """A whole RTCP packet. `body` holds whole 32-bit words; `count` (or format, or subtype) is 0 to 31."""
    if len(body) % 4 or not 0 <= count <= MAX_COUNT:
        raise ValueError(f"an RTCP packet cannot hold {len(body)} octets and a count of {count}")
    return _HEADER.pack(0x80 | count, packet_type, len(body) // 4) + body


def unpack(data: bytes, at: int) -> tuple[int, int, int]:
    """(first octet, packet type, octets of the body) of the header at `at`."""
    if at + HEADER_SIZE > len(data):
        raise Truncated("rtcp_header", f"{len(data) - at} octets where a header should be")
    first, packet_type, words = _HEADER.unpack_from(data, at)
    return first, packet_type, 4 * words


def require(body: bytes, size: int, reason: str) -> None:
    """Raises Truncated where a body is shorter than what its header announces."""
    if len(body) < size:
        raise Truncated(reason, f"{len(body)} octets where {size} are needed")
