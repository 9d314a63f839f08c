"""RTCP that a stream sends: sender report, CNAME and range in one compound packet (RFC 3550 §6.1)."""

from __future__ import annotations

from protocol.rtcp import compound
from protocol.rtcp.bye import Bye
from protocol.rtcp.range import SenderRange
from protocol.rtcp.sdes import CNAME, SdesChunk, SdesItem, SourceDescription
from protocol.rtcp.sr import SenderReport
from protocol.rtcp.tmmbr import BitrateNotification
from protocol.rtcp.xr import DelaySinceReferenceTime, ExtendedReport


def compound_report(
    report: SenderReport,
    cname: str,
    sent: SenderRange,
    echo: DelaySinceReferenceTime | None = None,
    *,
    goodbye: bool = False,
    limits: BitrateNotification | None = None,
) -> bytes:
    """SR, SDES, the range, what receivers' clocks are answered and what limits they have; at the very end also BYE."""
    packets: list[compound.RtcpPacket] = [
        report,
        SourceDescription((SdesChunk(report.ssrc, (SdesItem(CNAME, cname),)),)),
        sent.to_app(),
    ]
    if echo is not None:
        packets.append(ExtendedReport(report.ssrc, (echo,)))
    if limits is not None:
        packets.append(limits)
    if goodbye:
        packets.append(Bye((report.ssrc,)))
    return compound.serialize(packets)
