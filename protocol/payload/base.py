"""What every payload format offers, and what they share.

A frame is what one RTP timestamp carries: a coded picture, or one packet of sound.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Protocol, TypeVar

from protocol.errors import ProtocolError, Truncated, UsageError

T = TypeVar("T")


class Packetizer(Protocol):
    """Frame → RTP payloads."""

    def packetize(self, data: bytes, max_payload: int) -> list[bytes]:
        """The payloads of one frame, each at most `max_payload` bytes; none for an empty frame.

        Raises Malformed or Unsupported for a frame that the payload format cannot carry."""


class Depacketizer(Protocol):
    """RTP payloads → frame."""

    def begins(self, payload: bytes | memoryview) -> bool:
        """Whether this is the first packet of its frame, as far as the payload can say. Raises ProtocolError."""

    def depacketize(self, payloads: Sequence[bytes | None]) -> bytes:
        """What a decoder can use of one frame, from its payloads in order; None stands for a missing packet.

        A payload that cannot be parsed counts as missing. Raises ProtocolError when nothing usable is left."""

    def duration(self, payload: bytes | memoryview) -> int | None:
        """Ticks of sound in a payload; None for video. Raises ProtocolError."""

    def key_frame(self, data: bytes) -> bool:
        """Whether a frame from `depacketize` can be decoded without an earlier one."""

    def out_of_band(self) -> bytes:
        """What a decoder must be fed before the first frame; b"" for nothing."""


class Sound:
    """What depacketizers of sound share: every packet is a frame that decodes alone."""

    def begins(self, payload: bytes | memoryview) -> bool:  # noqa: ARG002
        return True

    def key_frame(self, data: bytes) -> bool:  # noqa: ARG002
        return True

    def out_of_band(self) -> bytes:
        return b""


class Video:
    """What depacketizers of video share: no packet says how long its picture stays."""

    def duration(self, payload: bytes | memoryview) -> None:  # noqa: ARG002
        return None

    def out_of_band(self) -> bytes:
        return b""


def parse_each(payloads: Sequence[bytes | None], parse: Callable[[bytes], T]) -> list[T | None]:
    """Every payload parsed, None for the missing and the unreadable; raises the first error if that is all of them."""
    parsed: list[T | None] = []
    error: ProtocolError | None = None
    for payload in payloads:
        value = None
        if payload is not None:
            try:
                value = parse(payload)
            except ProtocolError as reason:
                error = error or reason
        parsed.append(value)
    if all(value is None for value in parsed):
        raise error or Truncated("frame_missing", "none of its packets is here")
    return parsed


def fragments(data: bytes, room: int) -> list[bytes]:
    """`data` in as few pieces of at most `room` bytes as possible, of nearly equal size.

    Equal sizes waste least when repair packets are computed over them. Raises UsageError without room."""
    if room < 1:
        raise UsageError("the packet size leaves no room for media; use a larger one")
    count = -(-len(data) // room)
    edges = [len(data) * i // count for i in range(count + 1)] if count else []
    return [data[a:b] for a, b in pairwise(edges)]
