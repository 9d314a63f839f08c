"""Compound packets (RFC 3550 §6.1), and single ones where a peer sends those (RFC 5506)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from protocol.errors import Malformed, Truncated
from protocol.rtcp import fir, header, nack, pli, tmmbr
from protocol.rtcp.app import App
from protocol.rtcp.bye import Bye
from protocol.rtcp.fir import FullIntraRequest
from protocol.rtcp.nack import Nack
from protocol.rtcp.pli import PictureLossIndication
from protocol.rtcp.rr import ReceiverReport
from protocol.rtcp.sdes import SourceDescription
from protocol.rtcp.sr import SenderReport
from protocol.rtcp.tmmbr import BitrateNotification, BitrateRequest
from protocol.rtcp.unknown import UnknownPacket
from protocol.rtcp.xr import ExtendedReport

RtcpPacket = (
    SenderReport
    | ReceiverReport
    | SourceDescription
    | Bye
    | App
    | Nack
    | PictureLossIndication
    | FullIntraRequest
    | BitrateRequest
    | BitrateNotification
    | ExtendedReport
    | UnknownPacket
)

_PARSERS: dict[int, Callable[[int, bytes], RtcpPacket]] = {
    header.SENDER_REPORT: SenderReport.parse,
    header.RECEIVER_REPORT: ReceiverReport.parse,
    header.SOURCE_DESCRIPTION: SourceDescription.parse,
    header.BYE: Bye.parse,
    header.APP: App.parse,
    header.EXTENDED_REPORT: ExtendedReport.parse,
}
_FEEDBACK_PARSERS: dict[tuple[int, int], Callable[[int, bytes], RtcpPacket]] = {
    (header.TRANSPORT_FEEDBACK, nack.FORMAT): Nack.parse,
    (header.TRANSPORT_FEEDBACK, tmmbr.REQUEST_FORMAT): BitrateRequest.parse,
    (header.TRANSPORT_FEEDBACK, tmmbr.NOTIFICATION_FORMAT): BitrateNotification.parse,
    (header.PAYLOAD_FEEDBACK, pli.FORMAT): PictureLossIndication.parse,
    (header.PAYLOAD_FEEDBACK, fir.FORMAT): FullIntraRequest.parse,
}


def parse(data: bytes) -> list[RtcpPacket]:
    """The packets of one datagram, at least one; raises Truncated or Malformed for the datagram as a whole.

    The checks are RFC 3550 A.2's, but for the rule that SR or RR comes first, which RFC 5506 lifted.
    """
    packets: list[RtcpPacket] = []
    at = 0
    while at < len(data) or not packets:
        first, packet_type, size = header.unpack(data, at)
        if first >> 6 != 2:
            raise Malformed("rtcp_version", f"version {first >> 6}")
        if packet_type not in header.PACKET_TYPES:
            raise Malformed("rtcp_type", f"packet type {packet_type}")
        at += header.HEADER_SIZE
        body, at = data[at : at + size], at + size
        if at > len(data):
            raise Truncated("rtcp_length", f"{at - len(data)} octets short")
        if first & 0x20:
            body = _unpadded(body, last=at == len(data))
        packets.append(_packet(packet_type, first & 31, body))
    return packets


def serialize(packets: Iterable[RtcpPacket]) -> bytes:
    """One datagram. Lead with an SR or RR and an SDES CNAME, unless the peer takes reduced-size packets."""
    return b"".join(map(bytes, packets))


def _unpadded(body: bytes, *, last: bool) -> bytes:
    """The body without its padding, which only the last packet of a compound may have (§6.4.1)."""
    padding = body[-1] if body else 0
    if not last or not padding or padding % 4 or padding > len(body):
        raise Malformed("rtcp_padding", f"{padding} octets of padding")
    return body[:-padding]


def _packet(packet_type: int, count: int, body: bytes) -> RtcpPacket:
    parser = _PARSERS.get(packet_type) or _FEEDBACK_PARSERS.get((packet_type, count))
    return parser(count, body) if parser else UnknownPacket(packet_type, count, body)
