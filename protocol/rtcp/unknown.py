"""An RTCP packet of a type, or a feedback format, that nothing here reads: kept as it is."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.rtcp import header


@dataclass(frozen=True, slots=True)
class UnknownPacket:
    packet_type: int
    count: int
    """the header's five bits: a count, a feedback format or a subtype."""
    body: bytes
    """all behind the four octets of the header, without padding."""

    def __bytes__(self) -> bytes:
        return header.pack(self.packet_type, self.count, self.body)
