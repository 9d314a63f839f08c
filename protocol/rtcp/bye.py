"""Goodbye, packet type 203 (RFC 3550 §6.6)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from protocol.errors import Truncated
from protocol.rtcp import header


@dataclass(frozen=True, slots=True)
class Bye:
    """Sources that leave; the reason has at most 255 octets of UTF-8."""

    sources: tuple[int, ...]
    reason: str = ""

    def __bytes__(self) -> bytes:
        text = self.reason.encode()
        tail = bytes([len(text)]) + text if text else b""
        body = struct.pack(f"!{len(self.sources)}I", *self.sources) + tail + bytes(-len(tail) % 4)
        return header.pack(header.BYE, len(self.sources), body)

    @classmethod
    def parse(cls, count: int, body: bytes) -> Bye:
        """Octets of the reason that are not UTF-8 become U+FFFD."""
        header.require(body, 4 * count, "rtcp_bye")
        tail = body[4 * count :]
        if tail and tail[0] >= len(tail):
            raise Truncated("rtcp_bye", "a reason longer than its packet")
        reason = tail[1 : 1 + tail[0]].decode(errors="replace") if tail else ""
        return cls(struct.unpack_from(f"!{count}I", body), reason)
