"""Extended reports, packet type 207 (RFC 3611): what the five numbers of a report block have no room for.

 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|V=2|P|reserved |   PT=XR=207   |             length            |
|                              SSRC                             |
|      BT       | type-specific |     block length in words     |  any number of blocks
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from protocol.errors import Malformed, Truncated
from protocol.rtcp import header

LOSS_RLE, DUPLICATE_RLE, REFERENCE_TIME, DLRR, STATISTICS, VOIP = 1, 2, 4, 5, 6, 7
UNAVAILABLE = 127
"""in the fields of `VoipMetrics` that say so."""
_REASON = "rtcp_xr"
_BLOCK = struct.Struct("!BBH")
_NTP = struct.Struct("!Q")
_ENTRY = struct.Struct("!III")
_TRACE = struct.Struct("!IHH")
_STATISTICS = struct.Struct("!IHHIIIIII4B")
_VOIP = struct.Struct("!I4B4HbbBB4BBxHHH")


@dataclass(frozen=True, slots=True)
class ReferenceTime:
    """Receiver reference time, §4.4: a receiver's clock, for senders to echo."""

    ntp_timestamp: int
    """64-bit NTP."""

    def __bytes__(self) -> bytes:
        return _pack(REFERENCE_TIME, 0, _NTP.pack(self.ntp_timestamp))

    @classmethod
    def parse(cls, _specific: int, body: bytes) -> ReferenceTime:
        return cls(*_exactly(_NTP, body))


@dataclass(frozen=True, slots=True)
class Echo:
    """One sub-block of DLRR: to a receiver, its own reference time."""

    ssrc: int
    """of the receiver."""
    lrr: int
    """the middle 32 bits of its last reference time."""
    dlrr: int
    """units of 2**-16 s since that came."""


@dataclass(frozen=True, slots=True)
class DelaySinceReferenceTime:
    """DLRR, §4.5: what a sender answers to reference times."""

    echoes: tuple[Echo, ...] = ()

    def __bytes__(self) -> bytes:
        return _pack(DLRR, 0, b"".join(_ENTRY.pack(echo.ssrc, echo.lrr, echo.dlrr) for echo in self.echoes))

    @classmethod
    def parse(cls, _specific: int, body: bytes) -> DelaySinceReferenceTime:
        if len(body) % _ENTRY.size:
            raise Malformed(_REASON, "half a sub-block of DLRR")
        return cls(tuple(Echo(*entry) for entry in _ENTRY.iter_unpack(body)))


@dataclass(frozen=True, slots=True)
class RunLengths:
    """Loss RLE (§4.1) or duplicate RLE (§4.2): a bit for each sequence number, as run lengths and bit vectors.

    `protocol.rtcp.trace` makes chunks of bits and bits of chunks.
    """

    ssrc: int
    """of the media."""
    begin: int
    """first sequence number, 16 bits."""
    end: int
    """one above the last, modulo 65536."""
    chunks: tuple[int, ...]
    """16 bits each, none of them null."""
    duplicates: bool = False
    """False: 1 is a packet received. True: 0 is a packet that came more than once."""
    thinning: int = 0
    """only the numbers divisible by 2**thinning are reported."""

    def __bytes__(self) -> bytes:
        chunks = self.chunks + (0,) * (len(self.chunks) % 2)
        body = _TRACE.pack(self.ssrc, self.begin, self.end) + struct.pack(f"!{len(chunks)}H", *chunks)
        return _pack(DUPLICATE_RLE if self.duplicates else LOSS_RLE, self.thinning, body)

    @classmethod
    def parse_loss(cls, specific: int, body: bytes) -> RunLengths:
        return cls._parse(specific, body, duplicates=False)

    @classmethod
    def parse_duplicates(cls, specific: int, body: bytes) -> RunLengths:
        return cls._parse(specific, body, duplicates=True)

    @classmethod
    def _parse(cls, specific: int, body: bytes, *, duplicates: bool) -> RunLengths:
        """What follows a null chunk is no part of the trace."""
        header.require(body, _TRACE.size, _REASON)
        ssrc, begin, end = _TRACE.unpack_from(body)
        chunks = struct.unpack_from(f"!{(len(body) - _TRACE.size) // 2}H", body, _TRACE.size)
        until = chunks.index(0) if 0 in chunks else len(chunks)
        return cls(ssrc, begin, end, chunks[:until], duplicates, specific & 15)


@dataclass(frozen=True, slots=True)
class Spread:
    """Least, greatest, mean and standard deviation."""

    least: int
    greatest: int
    mean: int
    deviation: int


@dataclass(frozen=True, slots=True)
class StatisticsSummary:
    """§4.6. What is None was not reported."""

    ssrc: int
    begin: int
    """first sequence number, 16 bits."""
    end: int
    """one above the last, modulo 65536."""
    lost: int | None = None
    duplicates: int | None = None
    jitter: Spread | None = None
    """of relative transit times, RTP clock ticks."""
    ttl: Spread | None = None
    """of IPv4's TTL, or of IPv6's hop limit."""
    ipv6: bool = False

    def __bytes__(self) -> bytes:
        hops = 0 if self.ttl is None else 2 if self.ipv6 else 1
        reported = (self.lost is not None, self.duplicates is not None, self.jitter is not None)
        flags = sum(0x80 >> bit for bit, is_reported in enumerate(reported) if is_reported) | hops << 3
        jitter, ttl = self.jitter or Spread(0, 0, 0, 0), self.ttl or Spread(0, 0, 0, 0)
        body = _STATISTICS.pack(
            self.ssrc, self.begin, self.end, self.lost or 0, self.duplicates or 0,
            jitter.least, jitter.greatest, jitter.mean, jitter.deviation,
            ttl.least, ttl.greatest, ttl.mean, ttl.deviation,
        )  # fmt: skip
        return _pack(STATISTICS, flags, body)

    @classmethod
    def parse(cls, specific: int, body: bytes) -> StatisticsSummary:
        ssrc, begin, end, lost, duplicates, *spreads = _exactly(_STATISTICS, body)
        hops = specific >> 3 & 3
        return cls(
            ssrc, begin, end,
            lost if specific & 0x80 else None,
            duplicates if specific & 0x40 else None,
            Spread(*spreads[:4]) if specific & 0x20 else None,
            Spread(*spreads[4:]) if hops else None,
            hops == 2,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class VoipMetrics:
    """§4.7. Rates and densities in 1/256, durations in ms; `UNAVAILABLE` where the RFC has that word."""

    ssrc: int
    """of the media."""
    loss_rate: int
    discard_rate: int
    """too late or too early to be played."""
    burst_density: int
    gap_density: int
    burst_duration: int
    gap_duration: int
    round_trip_delay: int
    """0: not measured."""
    end_system_delay: int
    """0: not measured."""
    signal_level: int = UNAVAILABLE
    """dBm0, signed."""
    noise_level: int = UNAVAILABLE
    """dBm0, signed."""
    residual_echo_return_loss: int = UNAVAILABLE
    gmin: int = 16
    r_factor: int = UNAVAILABLE
    external_r_factor: int = UNAVAILABLE
    mos_lq: int = UNAVAILABLE
    """in tenths."""
    mos_cq: int = UNAVAILABLE
    """in tenths."""
    configuration: int = 0
    """packet loss concealment (2 bits), adaptive jitter buffer (2), its rate (4)."""
    buffer_nominal: int = 0
    buffer_maximum: int = 0
    buffer_absolute_maximum: int = 0

    def __bytes__(self) -> bytes:
        return _pack(VOIP, 0, _VOIP.pack(*(getattr(self, name) for name in self.__dataclass_fields__)))

    @classmethod
    def parse(cls, _specific: int, body: bytes) -> VoipMetrics:
        return cls(*_exactly(_VOIP, body))


@dataclass(frozen=True, slots=True)
class UnknownBlock:
    """A block of a type that nothing here reads."""

    type: int
    specific: int
    body: bytes
    """whole words."""

    def __bytes__(self) -> bytes:
        return _pack(self.type, self.specific, self.body)


Block = ReferenceTime | DelaySinceReferenceTime | RunLengths | StatisticsSummary | VoipMetrics | UnknownBlock

_PARSERS: dict[int, Callable[[int, bytes], Block]] = {
    LOSS_RLE: RunLengths.parse_loss,
    DUPLICATE_RLE: RunLengths.parse_duplicates,
    REFERENCE_TIME: ReferenceTime.parse,
    DLRR: DelaySinceReferenceTime.parse,
    STATISTICS: StatisticsSummary.parse,
    VOIP: VoipMetrics.parse,
}


@dataclass(frozen=True, slots=True)
class ExtendedReport:
    """One XR packet."""

    ssrc: int
    """who reports."""
    blocks: tuple[Block, ...] = ()

    def __bytes__(self) -> bytes:
        return header.pack(header.EXTENDED_REPORT, 0, self.ssrc.to_bytes(4) + b"".join(map(bytes, self.blocks)))

    @classmethod
    def parse(cls, _reserved: int, body: bytes) -> ExtendedReport:
        header.require(body, 4, _REASON)
        return cls(int.from_bytes(body[:4]), tuple(_blocks(body)))


def _pack(kind: int, specific: int, body: bytes) -> bytes:
    return _BLOCK.pack(kind, specific, len(body) // 4) + body


def _blocks(body: bytes) -> Iterator[Block]:
    at = 4
    while at < len(body):
        kind, specific, words = _BLOCK.unpack_from(body, at)  # whole words: a block's first is there
        begin, at = at + _BLOCK.size, at + _BLOCK.size + 4 * words
        if at > len(body):
            raise Truncated(_REASON, f"a block {at - len(body)} octets longer than its packet")
        parser = _PARSERS.get(kind)
        content = body[begin:at]
        yield parser(specific, content) if parser else UnknownBlock(kind, specific, content)


def _exactly(layout: struct.Struct, body: bytes) -> tuple[int, ...]:
    if len(body) != layout.size:
        raise Malformed(_REASON, f"a block of {len(body)} octets where {layout.size} are due")
    return layout.unpack(body)
