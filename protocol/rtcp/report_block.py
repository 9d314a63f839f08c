"""Reception report blocks, shared by SR and RR (RFC 3550 §6.4.1)."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

SIZE = 24
_BLOCK = struct.Struct("!IIIIII")
_LOST_MIN, _LOST_MAX = -0x80_0000, 0x7F_FFFF


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """What one receiver says about one source."""

    ssrc: int
    """The source this is about."""
    fraction_lost: int
    """in 1/256, since the report before."""
    cumulative_lost: int
    """packets, expected less received: negative with duplicates. Written clamped to 24 bits (A.3)."""
    extended_highest_sequence: int
    """cycles << 16 | highest sequence number."""
    jitter: int
    """ticks of the RTP clock."""
    lsr: int = 0
    """the middle 32 bits of the last SR's NTP timestamp; 0 before the first."""
    dlsr: int = 0
    """units of 2**-16 s since that SR."""

    def __bytes__(self) -> bytes:
        lost = max(_LOST_MIN, min(_LOST_MAX, self.cumulative_lost)) & 0xFF_FFFF
        return _BLOCK.pack(
            self.ssrc, self.fraction_lost << 24 | lost, self.extended_highest_sequence, self.jitter, self.lsr, self.dlsr
        )


def parse_blocks(body: bytes, at: int, count: int) -> tuple[ReportBlock, ...]:
    """`count` blocks from octet `at`; the caller has checked that they are there."""
    return tuple(_block(*_BLOCK.unpack_from(body, at + SIZE * i)) for i in range(count))


def join_blocks(blocks: Iterable[ReportBlock]) -> bytes:
    return b"".join(map(bytes, blocks))


def _block(ssrc: int, losses: int, highest: int, jitter: int, lsr: int, dlsr: int) -> ReportBlock:
    lost = losses & 0xFF_FFFF
    return ReportBlock(ssrc, losses >> 24, lost - ((lost & 0x80_0000) << 1), highest, jitter, lsr, dlsr)
