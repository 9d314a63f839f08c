"""Steadycast's own APP packets: the range a sender has numbered, and its acknowledgement. Drawn in docs/wire.md.

An SR's packet count has no first number, so it cannot tell a lost head from a lost tail; the range can.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from protocol.errors import Malformed, Truncated
from protocol.rtcp.app import App

NAME = b"SCST"
RANGE, ACKNOWLEDGEMENT = 0, 1
_RANGE = struct.Struct("!QQQQI")
_ACKNOWLEDGEMENT = struct.Struct("!IIQ")
_FINAL = 1 << 31
_REPORT_FOLLOWS = 1 << 31


@dataclass(frozen=True, slots=True)
class SenderRange:
    """Everything one source has numbered so far, `first` to `last` inclusive."""

    ssrc: int
    """of the media."""
    first: int
    """64-bit extended sequence number; its low 16 bits are the RTP header's."""
    last: int
    """64-bit extended; first - 1 while nothing was numbered."""
    count: int
    """packets handed to the network: at most last - first + 1."""
    first_time: int
    """64-bit NTP at which the first was sent."""
    final: bool = False
    """nothing follows."""

    def to_app(self) -> App:
        flags = _FINAL if self.final else 0
        data = _RANGE.pack(self.first, self.last, self.count, self.first_time, flags)
        return App(self.ssrc, RANGE, NAME, data)


@dataclass(frozen=True, slots=True)
class RangeAcknowledgement:
    """A receiver has the final range and has reported with it."""

    sender_ssrc: int
    """of the receiver, who says so."""
    media_ssrc: int
    last: int
    """of the final range, 64-bit extended."""
    report_follows: bool = False
    """the receiver will send its report, in pieces."""

    def to_app(self) -> App:
        data = _ACKNOWLEDGEMENT.pack(self.media_ssrc, _REPORT_FOLLOWS if self.report_follows else 0, self.last)
        return App(self.sender_ssrc, ACKNOWLEDGEMENT, NAME, data)


def parse(app: App) -> SenderRange | RangeAcknowledgement | None:
    """What an APP packet means; None where it is not ours, or of a subtype that is not known (yet).

    Data behind the known fields is ignored, as are flags not known. Raises Truncated or Malformed.
    """
    if app.name != NAME:
        return None
    if app.subtype == RANGE:
        return _range(app)
    if app.subtype == ACKNOWLEDGEMENT:
        media_ssrc, flags, last = _unpack(_ACKNOWLEDGEMENT, app.data)
        return RangeAcknowledgement(app.ssrc, media_ssrc, last, bool(flags & _REPORT_FOLLOWS))
    return None


def _range(app: App) -> SenderRange:
    first, last, count, first_time, flags = _unpack(_RANGE, app.data)
    if not count <= last - first + 1:
        raise Malformed("rtcp_range", f"{count} packets numbered {first} to {last}")
    return SenderRange(app.ssrc, first, last, count, first_time, bool(flags & _FINAL))


def _unpack(layout: struct.Struct, data: bytes) -> tuple[int, ...]:
    if len(data) < layout.size:
        raise Truncated("rtcp_range", f"{len(data)} octets where {layout.size} are needed")
    return layout.unpack_from(data)
