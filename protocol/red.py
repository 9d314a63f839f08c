"""Redundant audio data (RFC 2198): one payload that repeats earlier ones, oldest first.

 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|F|   block PT  |     timestamp offset      |   block length    |   for each repeated block, F = 1
|0|   block PT  |                                                   of the primary one, last
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from protocol.errors import Malformed, Truncated, UsageError

MAX_OFFSET = (1 << 14) - 1
"""ticks of the RTP clock."""
MAX_LENGTH = (1 << 10) - 1
HEADER_SIZE = 4
"""octets that a repeated block adds to its own; the primary one adds 1."""
MAX_BLOCKS = 32
"""of more, nobody could use the oldest: 14 bits are 341 ms of 48 kHz."""
_HEADER = struct.Struct("!I")


@dataclass(frozen=True, slots=True)
class Block:
    """An earlier payload, once more."""

    payload_type: int
    offset: int
    """ticks before the timestamp of the packet; to MAX_OFFSET."""
    payload: bytes
    """at most MAX_LENGTH octets."""


@dataclass(frozen=True, slots=True)
class Red:
    """What one packet carries."""

    payload_type: int
    """of the primary block, which has the packet's own timestamp and number."""
    payload: bytes
    redundant: tuple[Block, ...] = ()
    """oldest first, as they lie in the packet."""

    def __bytes__(self) -> bytes:
        """Raises UsageError for a block that the format cannot say."""
        if not all(block.offset <= MAX_OFFSET and len(block.payload) <= MAX_LENGTH for block in self.redundant):
            raise UsageError(f"a repeated block is at most {MAX_LENGTH} octets and {MAX_OFFSET} ticks old")
        heads = [_HEADER.pack(1 << 31 | b.payload_type << 24 | b.offset << 10 | len(b.payload)) for b in self.redundant]
        return b"".join(
            [*heads, bytes([self.payload_type]), *(block.payload for block in self.redundant), self.payload]
        )


def parse(payload: bytes) -> Red:
    """Raises Truncated `red_header` or `red_length`, Malformed `red_blocks`."""
    heads, at = _heads(payload)
    primary = payload[at] & 0x7F
    at += 1
    redundant = []
    for head in heads:
        length = head & MAX_LENGTH
        redundant.append(Block(head >> 24 & 0x7F, head >> 10 & MAX_OFFSET, payload[at : at + length]))
        at += length
    if at > len(payload):
        raise Truncated("red_length", "blocks longer than their packet")
    return Red(primary, payload[at:], tuple(redundant))


def _heads(payload: bytes) -> tuple[Sequence[int], int]:
    """The headers of repeated blocks, and where the primary one's is."""
    heads: list[int] = []
    at = 0
    while at < len(payload) and payload[at] & 0x80:
        if at + HEADER_SIZE >= len(payload):
            raise Truncated("red_header", "it ends within a block header")
        if len(heads) == MAX_BLOCKS:
            raise Malformed("red_blocks", f"more than {MAX_BLOCKS} blocks")
        heads += _HEADER.unpack_from(payload, at)
        at += HEADER_SIZE
    if at >= len(payload):
        raise Truncated("red_header", "no primary block")
    return heads, at
