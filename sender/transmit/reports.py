"""RTCP that a stream sends: sender report, CNAME and range in one compound packet (RFC 3550 §6.1)."""

from __future__ import annotations

from protocol.rtcp import compound
from protocol.rtcp.bye import Bye
from protocol.rtcp.range import SenderRange
from protocol.rtcp.sdes import CNAME, SdesChunk, SdesItem, SourceDescription
from protocol.rtcp.sr import SenderReport


def compound_report(report: SenderReport, cname: str, sent: SenderRange, *, goodbye: bool = False) -> bytes:
    """SR, SDES and the range; at the very end also BYE."""
    packets: list[compound.RtcpPacket] = [
        report,
        SourceDescription((SdesChunk(report.ssrc, (SdesItem(CNAME, cname),)),)),
        sent.to_app(),
    ]
    if goodbye:
        packets.append(Bye((report.ssrc,)))
    return compound.serialize(packets)
