"""VP8 in RTP (RFC 7741). The payload descriptor (§4.2), then a piece of the frame:

 0 1 2 3 4 5 6 7
+-+-+-+-+-+-+-+-+
|X|R|N|S|R| PID |   S: begins partition PID; X: the next octet is here
|I|L|T|K| RSV   |   which of the following are here
|M| PictureID   |   I; M: 15 bits, one octet more
|   TL0PICIDX   |   L
|TID|Y| KEYIDX  |   T or K
+-+-+-+-+-+-+-+-+
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from protocol.errors import Malformed, Truncated
from protocol.payload.base import Video, fragments, parse_each

DESCRIPTOR_SIZE = 4
"""Of the descriptor written here."""
_START_CODE = b"\x9d\x01\x2a"


@dataclass(frozen=True, slots=True)
class Descriptor:
    """The payload descriptor; a field that is not there is None."""

    start_of_partition: bool
    partition: int
    non_reference: bool = False
    picture_id: int | None = None
    picture_id_bits: int = 15
    """7 or 15."""
    tl0_picture_index: int | None = None
    temporal_layer: int | None = None
    """TID; meaningful where the T bit was set."""
    layer_sync: bool = False
    key_index: int | None = None
    size: int = 0
    """bytes of the descriptor."""

    @property
    def begins_frame(self) -> bool:
        """First packet of its frame (RFC 7741 §4.2: S set and PID 0)."""
        return self.start_of_partition and not self.partition


def parse_descriptor(payload: bytes | memoryview) -> Descriptor:
    """The descriptor at the start of a payload. Raises Truncated, also when nothing follows it."""
    try:
        return _parse_descriptor(payload)
    except IndexError:
        raise Truncated("vp8_descriptor", f"{len(payload)} bytes") from None


def _parse_descriptor(payload: bytes | memoryview) -> Descriptor:
    first, at = payload[0], 1
    flags = 0
    if first & 0x80:
        flags, at = payload[at], at + 1
    picture_id, bits = None, 15
    if flags & 0x80:
        picture_id, at = payload[at], at + 1
        if picture_id & 0x80:
            picture_id, at = (picture_id & 0x7F) << 8 | payload[at], at + 1
        else:
            bits = 7
    tl0_picture_index = None
    if flags & 0x40:
        tl0_picture_index, at = payload[at], at + 1
    layers = 0
    if flags & 0x30:
        layers, at = payload[at], at + 1
    payload[at]  # a packet carries at least one byte of the frame
    return Descriptor(
        start_of_partition=bool(first & 0x10),
        partition=first & 7,
        non_reference=bool(first & 0x20),
        picture_id=picture_id,
        picture_id_bits=bits,
        tl0_picture_index=tl0_picture_index,
        temporal_layer=layers >> 6 if flags & 0x20 else None,
        layer_sync=bool(flags & 0x20 and layers & 0x20),
        key_index=layers & 0x1F if flags & 0x10 else None,
        size=at,
    )


def key_frame(frame: bytes) -> bool:
    """Whether a VP8 frame is a key frame: P bit clear and the start code in place (RFC 6386 §9.1)."""
    return len(frame) >= 10 and not frame[0] & 1 and frame[3:6] == _START_CODE


class Packetizer:
    """Frame → payloads, each with a 15-bit picture ID that counts frames."""

    def __init__(self, picture_id: int = 0) -> None:
        """`picture_id`: of the first frame."""
        self._picture_id = picture_id & 0x7FFF

    def packetize(self, data: bytes, max_payload: int) -> list[bytes]:
        """A frame is cut without regard to its partitions, all of them PID 0, which RFC 7741 §4.2 allows; every
        receiver reassembles the frame whole."""
        pieces = fragments(data, max_payload - DESCRIPTOR_SIZE)
        tail = bytes([0x80, 0x80 | self._picture_id >> 8, self._picture_id & 0xFF])
        if pieces:
            self._picture_id = (self._picture_id + 1) & 0x7FFF
        return [(b"\x80" if i else b"\x90") + tail + piece for i, piece in enumerate(pieces)]


class Depacketizer(Video):
    """Payloads → frame."""

    def begins(self, payload: bytes | memoryview) -> bool:
        return parse_descriptor(payload).begins_frame

    def depacketize(self, payloads: Sequence[bytes | None]) -> bytes:
        """The frame, if it is whole: libvpx and FFmpeg paint rubbish from one with a hole."""
        pieces = parse_each(payloads, _parse)
        whole = [piece for piece in pieces if piece is not None]
        if len(whole) < len(pieces):
            raise Truncated("vp8_frame", f"{len(pieces) - len(whole)} of its {len(pieces)} packets are missing")
        if not whole[0][0].begins_frame:
            raise Truncated("vp8_frame", "its beginning is missing")
        if len({descriptor.picture_id for descriptor, _ in whole}) > 1:
            raise Malformed("vp8_picture_id", "pieces of several pictures with one timestamp")
        return b"".join(piece for _, piece in whole)

    def key_frame(self, data: bytes) -> bool:
        return key_frame(data)


def _parse(payload: bytes) -> tuple[Descriptor, bytes]:
    descriptor = parse_descriptor(payload)
    return descriptor, payload[descriptor.size :]
