"""Receiver report, packet type 201 (RFC 3550 §6.4.2)."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.rtcp import header, report_block
from protocol.rtcp.report_block import ReportBlock


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    """What a participant that sends nothing has received; without blocks it only says that it is there."""

    ssrc: int
    reports: tuple[ReportBlock, ...] = ()
    """at most 31; more go into another RR behind it."""
    extension: bytes = b""
    """profile-specific, whole words (§6.4.3)."""

    def __bytes__(self) -> bytes:
        body = self.ssrc.to_bytes(4) + report_block.join_blocks(self.reports) + self.extension
        return header.pack(header.RECEIVER_REPORT, len(self.reports), body)

    @classmethod
    def parse(cls, count: int, body: bytes) -> ReceiverReport:
        end = 4 + report_block.SIZE * count
        header.require(body, end, "rtcp_rr")
        return cls(int.from_bytes(body[:4]), report_block.parse_blocks(body, 4, count), body[end:])
