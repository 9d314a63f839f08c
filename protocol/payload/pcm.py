"""L16 and G.711 in RTP (RFC 3551 §4.5.11, §4.5.14): the payload is the samples, nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from protocol.errors import Malformed, UsageError
from protocol.payload.base import Sound, parse_each


class Pcm(Sound):
    """Packetizer and depacketizer of sample frames of a fixed size. The bytes are in wire order on both sides."""

    def __init__(self, frame_size: int) -> None:
        """`frame_size`: bytes of one sample frame, all channels (L16: 2 each, G.711: 1 each)."""
        self._frame_size = frame_size

    def packetize(self, data: bytes, max_payload: int) -> list[bytes]:
        """Split between sample frames; each payload but the first begins where the one before ends, so its
        RTP timestamp is that much later (`duration`)."""
        self.duration(data)
        size = max_payload // self._frame_size * self._frame_size
        if size < 1:
            raise UsageError("the packet size leaves no room for a sample; use a larger one")
        return [data[at : at + size] for at in range(0, len(data), size)]

    def depacketize(self, payloads: Sequence[bytes | None]) -> bytes:
        return b"".join(payload for payload in parse_each(payloads, self._whole) if payload is not None)

    def duration(self, payload: bytes | memoryview) -> int:
        if len(payload) % self._frame_size:
            raise Malformed("pcm_length", f"{len(payload)} bytes of {self._frame_size}-byte sample frames")
        return len(payload) // self._frame_size

    def _whole(self, payload: bytes) -> bytes:
        if not self.duration(payload):
            raise Malformed("pcm_length", "no samples")
        return payload
