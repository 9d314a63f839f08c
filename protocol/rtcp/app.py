"""Application-defined packet, type 204 (RFC 3550 §6.7)."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.rtcp import header


@dataclass(frozen=True, slots=True)
class App:
    """An application's own message."""

    ssrc: int
    subtype: int
    """0 to 31."""
    name: bytes
    """four octets of ASCII."""
    data: bytes = b""
    """whole 32-bit words."""

    def __bytes__(self) -> bytes:
        if len(self.name) != 4:
            raise ValueError("the name of an APP packet has four octets")
        return header.pack(header.APP, self.subtype, self.ssrc.to_bytes(4) + self.name + self.data)

    @classmethod
    def parse(cls, count: int, body: bytes) -> App:
        header.require(body, 8, "rtcp_app")
        return cls(int.from_bytes(body[:4]), count, body[4:8], body[8:])
