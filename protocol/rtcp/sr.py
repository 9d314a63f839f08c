"""Sender report, packet type 200 (RFC 3550 §6.4.1)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from protocol.rtcp import header, report_block
from protocol.rtcp.report_block import ReportBlock

_INFO = struct.Struct("!IQIII")


@dataclass(frozen=True, slots=True)
class SenderReport:
    """What a source has sent, and how its RTP clock stands to NTP time."""

    ssrc: int
    ntp_timestamp: int
    """64-bit NTP, of the same instant as `rtp_timestamp`."""
    rtp_timestamp: int
    packet_count: int
    """since the source began, modulo 2**32."""
    octet_count: int
    """of payload, without headers and padding, modulo 2**32."""
    reports: tuple[ReportBlock, ...] = ()
    """at most 31; more go into an RR behind it."""
    extension: bytes = b""
    """profile-specific, whole words (§6.4.3)."""

    def __bytes__(self) -> bytes:
        info = _INFO.pack(
            self.ssrc,
            self.ntp_timestamp,
            self.rtp_timestamp,
            self.packet_count & 0xFFFF_FFFF,
            self.octet_count & 0xFFFF_FFFF,
        )
        body = info + report_block.join_blocks(self.reports) + self.extension
        return header.pack(header.SENDER_REPORT, len(self.reports), body)

    @classmethod
    def parse(cls, count: int, body: bytes) -> SenderReport:
        end = _INFO.size + report_block.SIZE * count
        header.require(body, end, "rtcp_sr")
        ssrc, ntp_timestamp, rtp_timestamp, packets, octets = _INFO.unpack_from(body)
        reports = report_block.parse_blocks(body, _INFO.size, count)
        return cls(ssrc, ntp_timestamp, rtp_timestamp, packets, octets, reports, body[end:])
