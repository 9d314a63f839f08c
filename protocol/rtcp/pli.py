"""Picture loss indication: payload-specific feedback (206), format 1 (RFC 4585 §6.3.1)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from protocol.rtcp import header

FORMAT = 1
_SSRCS = struct.Struct("!II")


@dataclass(frozen=True, slots=True)
class PictureLossIndication:
    """A decoder lost track and asks for a picture that can be decoded alone."""

    sender_ssrc: int
    """who asks."""
    media_ssrc: int

    def __bytes__(self) -> bytes:
        return header.pack(header.PAYLOAD_FEEDBACK, FORMAT, _SSRCS.pack(self.sender_ssrc, self.media_ssrc))

    @classmethod
    def parse(cls, _format: int, body: bytes) -> PictureLossIndication:
        header.require(body, _SSRCS.size, "rtcp_pli")
        return cls(*_SSRCS.unpack_from(body))
