"""The payload of a repair packet, and the symbols of the packets it protects (docs/wire.md, "Reed–Solomon").

 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|                       SSRC of the media                       |
|     first sequence number     |     count     |    stride     |
|                         repair symbol …                       |

A source packet's symbol has as many octets as the packet: all of it but SSRC and sequence number, its length, and a
sum that tells a packet from what wrong equations would make of it.

+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|              CRC-32 of what follows, begun with               |
|                   the packet's sequence number                |
|      length of the packet     |V=2|P|X|  CC   |M|     PT      |
|                           timestamp                           |
|              CSRC × CC, extension, payload, padding           |
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from protocol.errors import Malformed, Truncated
from protocol.fec.reed_solomon import SPAN
from protocol.rtp import HEADER_SIZE

_HEADER = struct.Struct("!IHBB")
_SUM = struct.Struct("!I")
_LENGTH = struct.Struct("!H")
OVERHEAD = HEADER_SIZE + _HEADER.size
"""octets by which a repair packet, its RTP header included, is longer than the longest packet it covers."""


@dataclass(frozen=True, slots=True)
class Repair:
    """One repair packet. Its row of the code is its own RTP sequence number, modulo 128."""

    media_ssrc: int
    first: int
    """16 bits: sequence number of the first covered packet."""
    count: int
    """packets covered, 1 to 128."""
    stride: int
    """from one covered number to the next: more than 1 interleaves."""
    symbol: bytes

    def __bytes__(self) -> bytes:
        return _HEADER.pack(self.media_ssrc, self.first, self.count, self.stride) + self.symbol

    @classmethod
    def parse(cls, payload: bytes) -> Repair:
        """Raises Truncated `fec_header`, Malformed `fec_window`."""
        if len(payload) < _HEADER.size + HEADER_SIZE:
            raise Truncated("fec_header", f"{len(payload)} bytes")
        media_ssrc, first, count, stride = _HEADER.unpack_from(payload)
        if not count or not stride or (count - 1) * stride >= SPAN:
            raise Malformed("fec_window", f"{count} packets with a stride of {stride}")
        return cls(media_ssrc, first, count, stride, payload[_HEADER.size :])


def symbol(datagram: bytes) -> bytes:
    """Of an RTP packet, as long as that."""
    body = _LENGTH.pack(len(datagram)) + datagram[:2] + datagram[4:8] + datagram[HEADER_SIZE:]
    return _SUM.pack(zlib.crc32(body, int.from_bytes(datagram[2:4]))) + body


def datagram(symbol: bytes, sequence_number: int, ssrc: int) -> bytes:
    """The RTP packet that a symbol, filled up with zeros, stands for.

    Raises Malformed `fec_inconsistent` for one that no packet of this number has."""
    (length,) = _LENGTH.unpack_from(symbol, _SUM.size)
    if not HEADER_SIZE <= length <= len(symbol) or symbol[length:].strip(b"\0"):
        raise Malformed("fec_inconsistent", f"a packet of {length} octets in a symbol of {len(symbol)}")
    body = symbol[_SUM.size : length]
    sequence = sequence_number & 0xFFFF
    if body[2] >> 6 != 2 or zlib.crc32(body, sequence) != _SUM.unpack_from(symbol)[0]:
        raise Malformed("fec_inconsistent", "the repaired packet does not have its sum")
    return body[2:4] + sequence.to_bytes(2) + body[4:8] + ssrc.to_bytes(4) + body[8:]
