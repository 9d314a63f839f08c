"""RTP data packets (RFC 3550 §5.1) with header extensions (RFC 8285): one packet, or a batch through NumPy.

 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|V=2|P|X|  CC   |M|     PT      |       sequence number         |
|                           timestamp                           |
|                             SSRC                              |
|              CSRC × CC, extension if X, payload …             |
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from protocol.datagram import Batch
from protocol.errors import Malformed, Truncated, UsageError

HEADER_SIZE = 12
ONE_BYTE_PROFILE = 0xBEDE
TWO_BYTE_PROFILE = 0x1000  # the low four bits are "appbits" (RFC 8285 §4.3)
_HEADER = struct.Struct("!BBHII")


@dataclass(frozen=True, slots=True)
class RtpPacket:
    """One RTP packet, names as in RFC 3550 §5.1."""

    payload_type: int
    sequence_number: int
    timestamp: int
    ssrc: int
    payload: bytes = b""
    marker: bool = False
    csrc: tuple[int, ...] = ()
    extensions: Mapping[int, bytes] = field(default_factory=dict)
    """RFC 8285 elements by local identifier."""
    padding: int = 0
    """Octets of padding, its count octet included."""
    profile_extension: tuple[int, bytes] | None = None
    """(profile, body) of a header extension that is not RFC 8285's."""

    def __bytes__(self) -> bytes:
        extension = self._extension_bytes()
        first = 0x80 | bool(self.padding) << 5 | bool(extension) << 4 | len(self.csrc)
        second = self.marker << 7 | self.payload_type
        head = _HEADER.pack(first, second, self.sequence_number, self.timestamp, self.ssrc)
        tail = bytes(self.padding - 1) + bytes([self.padding]) if self.padding else b""
        return b"".join((head, struct.pack(f"!{len(self.csrc)}I", *self.csrc), extension, self.payload, tail))

    def _extension_bytes(self) -> bytes:
        if self.profile_extension is not None:
            return _extension(*self.profile_extension)
        if not self.extensions:
            return b""
        return _extension(*pack_extensions(self.extensions))


def _extension(profile: int, body: bytes) -> bytes:
    padded = body + bytes(-len(body) % 4)
    return struct.pack("!HH", profile, len(padded) // 4) + padded


def pack_extensions(elements: Mapping[int, bytes]) -> tuple[int, bytes]:
    """(profile, body) of RFC 8285 elements, in the one-byte form where they fit it."""
    if not all(1 <= i <= 255 and len(v) <= 255 for i, v in elements.items()):
        raise UsageError("a header extension element needs an identifier of 1 to 255 and at most 255 bytes")
    if all(i <= 14 and 1 <= len(v) <= 16 for i, v in elements.items()):
        return ONE_BYTE_PROFILE, b"".join(bytes([i << 4 | len(v) - 1]) + v for i, v in elements.items())
    return TWO_BYTE_PROFILE, b"".join(bytes([i, len(v)]) + v for i, v in elements.items())


def parse_extensions(profile: int, body: bytes) -> dict[int, bytes] | None:
    """RFC 8285 elements by identifier; None for another profile. In the one-byte form
    identifier 15, or 0 with a length, ends the list (§4.2)."""
    if profile == ONE_BYTE_PROFILE:
        return _parse_elements(body, one_byte=True)
    if profile & 0xFFF0 == TWO_BYTE_PROFILE:
        return _parse_elements(body, one_byte=False)
    return None


def _parse_elements(body: bytes, *, one_byte: bool) -> dict[int, bytes]:
    elements: dict[int, bytes] = {}
    at = 0
    while at < len(body):
        if not body[at]:  # padding
            at += 1
            continue
        if one_byte:
            identifier, size, start = body[at] >> 4, (body[at] & 15) + 1, at + 1
            if identifier in (0, 15):
                break
        else:
            if at + 1 >= len(body):
                raise Truncated("rtp_extension", "an element without its length")
            identifier, size, start = body[at], body[at + 1], at + 2
        at = start + size
        if at > len(body):
            raise Truncated("rtp_extension", "an element longer than its extension")
        elements[identifier] = body[start:at]
    return elements


def parse(data: bytes) -> RtpPacket:
    """The RTP packet in a datagram; raises Truncated or Malformed."""
    if len(data) < HEADER_SIZE:
        raise Truncated("rtp_header", f"{len(data)} bytes")
    first, second, sequence_number, timestamp, ssrc = _HEADER.unpack_from(data)
    if first >> 6 != 2:
        raise Malformed("rtp_version", f"version {first >> 6}")
    at = HEADER_SIZE + 4 * (first & 15)
    end = len(data)
    if at > end:
        raise Truncated("rtp_csrc", "shorter than its CSRC list")
    csrc = struct.unpack_from(f"!{first & 15}I", data, HEADER_SIZE)
    extensions: dict[int, bytes] = {}
    profile_extension = None
    if first & 0x10:
        if at + 4 > end:
            raise Truncated("rtp_extension", "shorter than its extension header")
        profile, words = struct.unpack_from("!HH", data, at)
        body = data[at + 4 : at + 4 + 4 * words]
        at += 4 + 4 * words
        if at > end:
            raise Truncated("rtp_extension", "shorter than its extension")
        elements = parse_extensions(profile, body)
        if elements is None:
            profile_extension = (profile, body)
        else:
            extensions = elements
    padding = 0
    if first & 0x20:
        padding = data[-1]
        if not 0 < padding <= end - at:
            raise Malformed("rtp_padding", f"{padding} octets of padding in {end - at}")
    return RtpPacket(
        second & 0x7F, sequence_number, timestamp, ssrc, data[at : end - padding], bool(second & 0x80),
        csrc, extensions, padding, profile_extension,
    )  # fmt: skip


REASONS = ("", "rtp_header", "rtp_version", "rtp_csrc", "rtp_extension", "rtp_padding")
"""What `Headers.reason` counts; 0 is a good packet. The same keys as `parse` raises."""


@dataclass(frozen=True, slots=True)
class Headers:
    """The headers of n packets, each field an array of shape (n,); rows with `reason` != 0 hold nothing of use."""

    reason: NDArray[np.uint8]
    """index into REASONS."""
    payload_type: NDArray[np.uint8]
    marker: NDArray[np.bool_]
    sequence_number: NDArray[np.uint16]
    timestamp: NDArray[np.uint32]
    ssrc: NDArray[np.uint32]
    payload_offset: NDArray[np.int64]
    """where the payload begins in the batch's buffer."""
    payload_length: NDArray[np.int64]
    """bytes, without padding."""

    def __len__(self) -> int:
        return len(self.reason)

    def select(self, index: NDArray[np.bool_] | NDArray[np.int64] | slice) -> Headers:
        """The chosen rows."""
        return Headers(*(getattr(self, name)[index] for name in self.__slots__))


_FEW = 8
"""datagrams up to which plain Python is quicker than NumPy."""
_COLUMNS = np.dtype(
    {
        "names": list(Headers.__slots__),
        "formats": ["u1", "u1", "?", "u2", "u4", "u4", "i8", "i8"],
    },
    align=True,
)
_OCTETS = np.arange(HEADER_SIZE)
_SEVEN_BITS = np.uint8(0x7F)
_FIELDS = np.dtype(
    [("first", "u1"), ("second", "u1"), ("sequence_number", ">u2"), ("timestamp", ">u4"), ("ssrc", ">u4")]
)


def parse_batch(batch: Batch) -> Headers:
    """The headers of every datagram of a batch. Agrees with `parse` packet by packet, except that the inside
    of an RFC 8285 extension is not looked at."""
    n = len(batch)
    if n <= _FEW:
        return _parse_few(batch)
    lengths, offsets = batch.lengths, batch.offsets
    short = lengths < HEADER_SIZE
    any_short = bool(short.any())
    # A header read past the end of a short datagram must stay inside the buffer; its row is void anyway.
    room = len(batch.buffer) - HEADER_SIZE
    if room < 0:
        return _void(n)
    at = np.minimum(offsets, room) if any_short else offsets
    fields = batch.buffer[at[:, None] + _OCTETS].view(_FIELDS)[:, 0]
    first, second = fields["first"], fields["second"]
    reason = np.zeros(n, np.uint8)
    payload_offset = offsets + HEADER_SIZE
    payload_length = lengths - HEADER_SIZE
    if any_short or (first != 0x80).any():
        reason[first >> 6 != 2] = 2
        reason[short] = 1
        for i in np.flatnonzero((reason == 0) & (first & 0x3F != 0)):  # CSRC, extension, padding: rare
            reason[i], payload_offset[i], payload_length[i] = _variable_part(batch, int(i))
    return Headers(
        reason,
        second & _SEVEN_BITS,
        second >= 0x80,
        fields["sequence_number"].astype(np.uint16),
        fields["timestamp"].astype(np.uint32),
        fields["ssrc"].astype(np.uint32),
        payload_offset,
        payload_length,
    )


def _parse_few(batch: Batch) -> Headers:
    """As `parse_batch`, one by one."""
    memory, rows = batch.buffer.data, []
    for index, (start, length) in enumerate(zip(batch.offsets.tolist(), batch.lengths.tolist(), strict=True)):
        if length < HEADER_SIZE:
            rows.append((1, 0, False, 0, 0, 0, 0, 0))
            continue
        first, second, sequence_number, timestamp, ssrc = _HEADER.unpack_from(memory, start)
        where = 0, start + HEADER_SIZE, length - HEADER_SIZE
        if first != 0x80:
            where = (2, 0, 0) if first >> 6 != 2 else _variable_part(batch, index)
        rows.append((where[0], second & 0x7F, second >= 0x80, sequence_number, timestamp, ssrc, *where[1:]))
    table = np.array(rows, _COLUMNS)
    return Headers(*(table[name] for name in Headers.__slots__))


def _variable_part(batch: Batch, index: int) -> tuple[int, int, int]:
    """(reason code, payload offset, payload length) of a packet with CSRCs, an extension or padding."""
    start, length = int(batch.offsets[index]), int(batch.lengths[index])
    buffer, end = batch.buffer, start + length
    first = int(buffer[start])
    at = start + HEADER_SIZE + 4 * (first & 15)
    if at > end:
        return 3, 0, 0
    if first & 0x10:
        if at + 4 > end:
            return 4, 0, 0
        at += 4 + 4 * (int(buffer[at + 2]) << 8 | int(buffer[at + 3]))
        if at > end:
            return 4, 0, 0
    padding = 0
    if first & 0x20:
        padding = int(buffer[end - 1])
        if not 0 < padding <= end - at:
            return 5, 0, 0
    return 0, at, end - padding - at


def _void(n: int) -> Headers:
    zero = np.zeros(n, np.int64)
    return Headers(
        np.ones(n, np.uint8), zero.astype(np.uint8), zero.astype(bool), zero.astype(np.uint16),
        zero.astype(np.uint32), zero.astype(np.uint32), zero, zero,
    )  # fmt: skip


def rtcp_mask(batch: Batch) -> NDArray[np.bool_]:
    """Which datagrams are RTCP: second octet 192 to 223 (RFC 5761 §4). shape (n,); an empty or 1-byte one is not."""
    n = len(batch)
    if not n or not len(batch.buffer):
        return np.zeros(n, bool)
    if n <= _FEW:
        memory, places = batch.buffer.data, zip(batch.offsets.tolist(), batch.lengths.tolist(), strict=True)
        return np.array([length >= 2 and 192 <= memory[start + 1] <= 223 for start, length in places])
    second = batch.buffer[np.minimum(batch.offsets + 1, len(batch.buffer) - 1)]
    return (second >= 192) & (second <= 223) & (batch.lengths >= 2)


def rows_by_ssrc(ssrcs: NDArray[np.uint32], rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """`rows` of each SSRC, each in order; `ssrcs` is of all rows."""
    if len(rows):
        order = rows[np.argsort(ssrcs[rows], kind="stable")]
        yield from np.split(order, np.flatnonzero(np.diff(ssrcs[order])) + 1)
