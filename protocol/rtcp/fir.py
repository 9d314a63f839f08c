"""Full intra request: payload-specific feedback (206), format 4 (RFC 5104 §4.3.1)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from protocol.errors import Malformed
from protocol.rtcp import header

FORMAT = 4
_SSRCS = struct.Struct("!II")
_ENTRY = struct.Struct("!IB3x")


@dataclass(frozen=True, slots=True)
class FullIntraRequest:
    """A command to send a key frame; the same number again is the same request repeated."""

    sender_ssrc: int
    """who asks."""
    entries: tuple[tuple[int, int], ...]
    """(SSRC of the media, command sequence number modulo 256). The header's own media SSRC stays 0 (§4.3.1.2)."""

    def __bytes__(self) -> bytes:
        entries = b"".join(_ENTRY.pack(*entry) for entry in self.entries)
        return header.pack(header.PAYLOAD_FEEDBACK, FORMAT, _SSRCS.pack(self.sender_ssrc, 0) + entries)

    @classmethod
    def parse(cls, _format: int, body: bytes) -> FullIntraRequest:
        header.require(body, _SSRCS.size + _ENTRY.size, "rtcp_fir")
        if (len(body) - _SSRCS.size) % _ENTRY.size:
            raise Malformed("rtcp_fir", "half an entry")
        return cls(int.from_bytes(body[:4]), tuple(_ENTRY.iter_unpack(body[_SSRCS.size :])))
