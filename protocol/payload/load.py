"""Load: packets that stand for media and carry none, for measuring a path (docs/wire.md).

The first octet of a payload says whether its unit begins there (0x80, the other bits are 0); the rest is filler.
"""

from __future__ import annotations

from collections.abc import Sequence

from protocol.errors import Truncated
from protocol.payload.base import Video, fragments

ENCODING = "x-steadycast-load"
CLOCK_RATE = 90_000
HEADER_SIZE = 1
_BEGINS = 0x80


class Load(Video):
    """Packetizer and depacketizer: units of filler in, nothing that a decoder could use out."""

    def packetize(self, data: bytes, max_payload: int) -> list[bytes]:
        """As few payloads as possible, of nearly equal size."""
        pieces = fragments(data, max_payload - HEADER_SIZE)
        return [bytes((0 if index else _BEGINS,)) + piece for index, piece in enumerate(pieces)]

    def begins(self, payload: bytes | memoryview) -> bool:
        if not len(payload):
            raise Truncated("load_payload", "it is empty")
        return bool(payload[0] & _BEGINS)

    def depacketize(self, payloads: Sequence[bytes | None]) -> bytes:  # noqa: ARG002
        return b""

    def key_frame(self, data: bytes) -> bool:  # noqa: ARG002
        return True
