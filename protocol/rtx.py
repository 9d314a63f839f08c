"""Retransmission payload format (RFC 4588), session-multiplexed by SSRC: a stream of its own beside the media's.

The packet keeps the original's header but for SSRC, sequence number and payload type, which are its own stream's.
Before the payload stands the original's sequence number:

+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|            OSN                |                               |
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+    original RTP packet payload  |
"""

from __future__ import annotations

import struct

from protocol.errors import Truncated
from protocol.rtp import HEADER_SIZE

ENCODING = "rtx"
OVERHEAD = 2
"""octets of OSN in each packet."""
_HEADER = struct.Struct("!BBHII")


def pack(original: bytes, payload_type: int, sequence_number: int, ssrc: int) -> bytes:
    """The retransmission of an RTP packet, at least a header. `sequence_number`: 16 bits, the RTX stream's."""
    first, second, osn, timestamp, _ = _HEADER.unpack_from(original)
    start = HEADER_SIZE + 4 * (first & 15)
    if first & 0x10:
        start += 4 + 4 * int.from_bytes(original[start + 2 : start + 4])
    header = _HEADER.pack(first, second & 0x80 | payload_type, sequence_number, timestamp, ssrc)
    return b"".join((header, original[HEADER_SIZE:start], osn.to_bytes(2), original[start:]))


def original_sequence_number(payload: bytes) -> int | None:
    """OSN of an RTX packet's payload (padding taken off); None for an empty one, which only probes or fills.

    What follows the OSN is the original's payload. Raises Truncated.
    """
    if not payload:
        return None
    if len(payload) < OVERHEAD:
        raise Truncated("rtx_osn", "an RTX payload without room for a sequence number")
    return int.from_bytes(payload[:OVERHEAD])
