"""Temporary maximum media stream bit-rate: request and notification (RFC 5104 §4.2.1, §4.2.2).

Transport feedback (205), formats 3 and 4. Each limit is one entry:

 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|                              SSRC                             |
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
| MxTBR Exp |  MxTBR Mantissa                 |Measured Overhead|
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar, Self

from protocol.errors import Malformed
from protocol.rtcp import header

REQUEST_FORMAT = 3
NOTIFICATION_FORMAT = 4
_MANTISSA_BITS, _OVERHEAD_BITS = 17, 9
_LARGEST_EXPONENT = 63
_SSRCS = struct.Struct("!II")
_ENTRY = struct.Struct("!II")


@dataclass(frozen=True, slots=True)
class Limit:
    """One entry."""

    ssrc: int
    """in a request the stream that is limited; in a notification the receiver whose limit it is."""
    bitrate: int
    """bit/s, as seen by whoever asks, `overhead` included; the format keeps its 17 highest bits."""
    overhead: int = 0
    """octets in each packet that count beside the RTP payload, 0 to 511."""

    def __bytes__(self) -> bytes:
        exponent = max(0, self.bitrate.bit_length() - _MANTISSA_BITS)
        if exponent > _LARGEST_EXPONENT or self.overhead >> _OVERHEAD_BITS or self.bitrate < 0:
            raise ValueError(f"a TMMBR cannot hold {self.bitrate} bit/s and an overhead of {self.overhead}")
        mantissa = self.bitrate >> exponent
        return _ENTRY.pack(
            self.ssrc, exponent << _MANTISSA_BITS + _OVERHEAD_BITS | mantissa << _OVERHEAD_BITS | self.overhead
        )

    @classmethod
    def of(cls, ssrc: int, packed: int) -> Self:
        """Of both words of an entry."""
        overhead = packed & (1 << _OVERHEAD_BITS) - 1
        mantissa = packed >> _OVERHEAD_BITS & (1 << _MANTISSA_BITS) - 1
        return cls(ssrc, mantissa << (packed >> _MANTISSA_BITS + _OVERHEAD_BITS), overhead)


@dataclass(frozen=True, slots=True)
class _Limits:
    """What both packets share: the media SSRC of the feedback header is not used, and 0."""

    sender_ssrc: int
    """who says so."""
    limits: tuple[Limit, ...]

    FORMAT: ClassVar[int]

    def __bytes__(self) -> bytes:
        body = _SSRCS.pack(self.sender_ssrc, 0) + b"".join(map(bytes, self.limits))
        return header.pack(header.TRANSPORT_FEEDBACK, self.FORMAT, body)

    @classmethod
    def parse(cls, _format: int, body: bytes) -> Self:
        header.require(body, _SSRCS.size, cls._reason())
        if len(body) % _ENTRY.size:
            raise Malformed(cls._reason(), "half an entry")
        entries = tuple(Limit.of(*pair) for pair in _ENTRY.iter_unpack(body[_SSRCS.size :]))
        return cls(_SSRCS.unpack_from(body)[0], entries)

    @classmethod
    def _reason(cls) -> str:
        return "rtcp_tmmbr" if cls.FORMAT == REQUEST_FORMAT else "rtcp_tmmbn"


class BitrateRequest(_Limits):
    """TMMBR: more than this of these streams does not get through."""

    __slots__ = ()
    FORMAT = REQUEST_FORMAT

    @classmethod
    def parse(cls, _format: int, body: bytes) -> Self:
        header.require(body, _SSRCS.size + _ENTRY.size, "rtcp_tmmbr")
        return super().parse(_format, body)


class BitrateNotification(_Limits):
    """TMMBN: the limits that hold; none when nothing is limited."""

    __slots__ = ()
    FORMAT = NOTIFICATION_FORMAT
