"""Forward error correction by exclusive or (RFC 5109), level 0: what a packet says, and the packet it gives back.

 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|E|L|P|X|  CC   |M| PT recovery |            SN base            |
|                          TS recovery                          |
|        length recovery        |       protection length       |
|             mask              |       mask, cont. if L …      |
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from protocol import rtp
from protocol.errors import Malformed, Truncated, Unsupported
from protocol.rtp import HEADER_SIZE

_HEADER = struct.Struct("!BBHIHH")
_FIXED = struct.Struct("!BBIH")
_OUTPUT = struct.Struct("!BBHII")


@dataclass(frozen=True, slots=True)
class UlpFec:
    """An FEC packet; of its levels of protection the first, which covers packets from their beginning on."""

    base: int
    """16 bits: the sequence number that the mask counts from."""
    offsets: tuple[int, ...]
    """from `base`, of the packets covered: ascending, below 48."""
    fixed: bytes
    """exclusive or of P, X, CC, M, PT, timestamp and length of all of them, 8 octets."""
    body: bytes
    """exclusive or of what follows their fixed headers, as far as it is protected."""


def parse(payload: bytes) -> UlpFec:
    """Raises Truncated `ulpfec_header` or `ulpfec_length`, Malformed `ulpfec_mask`, Unsupported `ulpfec_extension`."""
    if len(payload) < _HEADER.size + 2:
        raise Truncated("ulpfec_header", f"{len(payload)} bytes")
    first, second, base, timestamp, length, protected = _HEADER.unpack_from(payload)
    if first & 0x80:
        raise Unsupported("ulpfec_extension", "the E bit is set")
    bits = 48 if first & 0x40 else 16
    at = _HEADER.size + bits // 8
    if len(payload) < at:
        raise Truncated("ulpfec_header", "it ends within its mask")
    mask = int.from_bytes(payload[_HEADER.size : at])
    if not mask:
        raise Malformed("ulpfec_mask", "nothing is covered")
    if len(payload) < at + protected:
        raise Truncated("ulpfec_length", f"{protected} octets protected in {len(payload)}")
    offsets = tuple(bit for bit in range(bits) if mask >> (bits - 1 - bit) & 1)
    fixed = _FIXED.pack(first & 0x3F, second, timestamp, length)
    return UlpFec(base, offsets, fixed, payload[at : at + protected])


def recover(fec: UlpFec, others: Sequence[bytes], sequence_number: int, ssrc: int) -> bytes:
    """The one covered RTP packet that is missing, made of all the others.

    Raises Malformed `ulpfec_inconsistent` for what is no packet, Unsupported `ulpfec_partial` where only its beginning
    is protected."""
    size = len(fec.body)
    fixed, body = int.from_bytes(fec.fixed), int.from_bytes(fec.body)
    for packet in others:
        head = _FIXED.pack(packet[0] & 0x3F, packet[1], int.from_bytes(packet[4:8]), len(packet) - HEADER_SIZE)
        fixed ^= int.from_bytes(head)
        body ^= int.from_bytes(packet[HEADER_SIZE : HEADER_SIZE + size].ljust(size, b"\0"))
    first, second, timestamp, length = _FIXED.unpack(fixed.to_bytes(_FIXED.size))
    data = body.to_bytes(size)
    if length > size:
        raise Unsupported("ulpfec_partial", f"{size} octets of {length} are protected")
    if data[length:].strip(b"\0"):
        raise Malformed("ulpfec_inconsistent", "what it gives is no packet")
    sequence = sequence_number & 0xFFFF
    packet = _OUTPUT.pack(0x80 | first, second, sequence, timestamp, ssrc) + data[:length]
    try:
        rtp.parse(packet)
    except (Malformed, Truncated) as error:
        raise Malformed("ulpfec_inconsistent", str(error)) from error
    return packet
