"""Opus in RTP (RFC 7587): one Opus packet is one payload. Its first octet says how long it is (RFC 6716 §3.1):

 0 1 2 3 4 5 6 7
+-+-+-+-+-+-+-+-+
| config  |s| c |   config: mode, bandwidth, frame size; s: stereo; c: how many frames
+-+-+-+-+-+-+-+-+
"""

from __future__ import annotations

from collections.abc import Sequence

from protocol.errors import Malformed, Truncated, Unsupported
from protocol.payload.base import Sound, parse_each

CLOCK_RATE = 48000
"""The RTP clock, whatever rate the encoder was given (RFC 7587 §4.1)."""
MAX_SAMPLES = 5760
"""120 ms, the longest packet (RFC 6716 §3.2.5, R5)."""

_SILK, _HYBRID, _CELT = (480, 960, 1920, 2880), (480, 960), (120, 240, 480, 960)
_FRAME_SAMPLES = _SILK * 3 + _HYBRID * 2 + _CELT * 4
"""Samples of one frame at 48 kHz, by config (RFC 6716 table 2)."""


def packet_samples(payload: bytes | memoryview) -> int:
    """Samples at 48 kHz in an Opus packet. Raises Truncated or Malformed."""
    if not payload:
        raise Truncated("opus_toc", "an empty packet")
    samples = _FRAME_SAMPLES[payload[0] >> 3] * _frame_count(payload)
    if samples > MAX_SAMPLES:
        raise Malformed("opus_duration", f"{samples} samples")
    return samples


def _frame_count(payload: bytes | memoryview) -> int:
    """Frames in a packet: code 0 is one, 1 and 2 are two, 3 says it in the next octet (RFC 6716 §3.2)."""
    code = payload[0] & 3
    if code == 1 and not len(payload) & 1:
        raise Malformed("opus_frames", "two frames of equal size in an odd number of bytes")
    if code < 3:
        return (1, 2, 2)[code]
    if len(payload) < 2:
        raise Truncated("opus_frames", "no frame count")
    if not payload[1] & 0x3F:
        raise Malformed("opus_frames", "no frame")
    return payload[1] & 0x3F


def channels(payload: bytes | memoryview) -> int:
    """1 or 2, as this packet was coded; a stereo decoder takes both. Raises Truncated."""
    if not payload:
        raise Truncated("opus_toc", "an empty packet")
    return 2 if payload[0] & 4 else 1


class Opus(Sound):
    """Packetizer and depacketizer."""

    def packetize(self, data: bytes, max_payload: int) -> list[bytes]:
        if not data:
            return []
        if len(data) > max_payload:
            raise Unsupported("opus_size", f"a packet of {len(data)} bytes; lower the audio bitrate")
        return [data]

    def depacketize(self, payloads: Sequence[bytes | None]) -> bytes:
        """Opus packets cannot be joined, and no two share a timestamp (RFC 7587 §4.2): the first good one counts."""
        return next(payload for payload in parse_each(payloads, _checked) if payload is not None)

    def duration(self, payload: bytes | memoryview) -> int:
        return packet_samples(payload)


def _checked(payload: bytes) -> bytes:
    packet_samples(payload)
    return payload
