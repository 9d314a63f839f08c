"""Generic NACK: transport feedback (205), format 1 (RFC 4585 §6.2.1)."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from protocol.errors import Malformed
from protocol.rtcp import header

FORMAT = 1
MAX_PAIRS = 128
"""PID and BLP pairs that are read: 2176 numbers, more than anybody keeps. Whoever misses more asks again."""
_SSRCS = struct.Struct("!II")
_FCI = struct.Struct("!HH")


@dataclass(frozen=True, slots=True)
class Nack:
    """Packets a receiver misses."""

    sender_ssrc: int
    """who says so."""
    media_ssrc: int
    sequence_numbers: tuple[int, ...]
    """16 bits each. Ascending order (also across the wrap) needs the fewest octets."""

    def __bytes__(self) -> bytes:
        body = _SSRCS.pack(self.sender_ssrc, self.media_ssrc)
        pairs = b"".join(_FCI.pack(*pair) for pair in _pairs(self.sequence_numbers))
        return header.pack(header.TRANSPORT_FEEDBACK, FORMAT, body + pairs)

    @classmethod
    def parse(cls, _format: int, body: bytes) -> Nack:
        header.require(body, _SSRCS.size + _FCI.size, "rtcp_nack")
        if len(body) % _FCI.size:
            raise Malformed("rtcp_nack", "half a PID and BLP pair")
        pairs = body[_SSRCS.size : _SSRCS.size + MAX_PAIRS * _FCI.size]
        numbers = [n for pair in _FCI.iter_unpack(pairs) for n in _numbers(*pair)]
        sender_ssrc, media_ssrc = _SSRCS.unpack_from(body)
        return cls(sender_ssrc, media_ssrc, tuple(numbers))


def _pairs(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """(PID, BLP): the first missing number, and a bit for each of the sixteen that follow it."""
    pid, blp = -1, 0
    for number in numbers:
        step = (number - pid) & 0xFFFF
        if pid >= 0 and step <= 16:
            blp |= (1 << step) >> 1  # step 0, a repetition, adds nothing
            continue
        if pid >= 0:
            yield pid, blp
        pid, blp = number, 0
    if pid >= 0:
        yield pid, blp


def _numbers(pid: int, blp: int) -> list[int]:
    return [pid, *((pid + 1 + bit) & 0xFFFF for bit in range(16) if blp >> bit & 1)]
