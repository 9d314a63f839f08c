"""What repair a receiver can use (APP `SCST`, subtype 4; docs/wire.md).

Nothing beside media is sent to one that did not say so: to programs that know nothing of repair it looks like loss.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from protocol.errors import Truncated
from protocol.rtcp.app import App
from protocol.rtcp.range import NAME

OFFER = 4
_OFFER = struct.Struct("!IBBBBHH")
_RTX, _FEC, _RED = 0x80, 0x40, 0x20


@dataclass(frozen=True, slots=True)
class RepairOffer:
    """One receiver about one stream; a later offer takes the place of the one before."""

    ssrc: int
    """of the receiver, who says so."""
    media_ssrc: int
    rtx: bool = False
    """it takes retransmissions (RFC 4588)."""
    fec: bool = False
    """it takes forward error correction."""
    red: bool = False
    """it takes redundancy (RFC 2198)."""
    fec_share: int = 0
    """FEC it wishes for, in 1/256 of the media; 0: none."""
    red_depth: int = 0
    """earlier packets that it wishes repeated in each."""
    fec_frames: int = 0
    """frames that FEC should cover; 0: as the sender likes."""
    deadline_ms: int = 0
    """how long after a packet of least transit it can wait for repair."""

    def to_app(self) -> App:
        flags = _RTX * self.rtx | _FEC * self.fec | _RED * self.red
        wishes = self.fec_share, self.red_depth, self.fec_frames, self.deadline_ms, 0
        return App(self.ssrc, OFFER, NAME, _OFFER.pack(self.media_ssrc, flags, *wishes))


def parse(app: App) -> RepairOffer | None:
    """None where the packet is something else. Data behind the known fields, and flags not known, are ignored. Raises
    Truncated."""
    if app.name != NAME or app.subtype != OFFER:
        return None
    if len(app.data) < _OFFER.size:
        raise Truncated("rtcp_repair_offer", f"{len(app.data)} octets where {_OFFER.size} are needed")
    media, flags, fec_share, red_depth, fec_frames, deadline_ms, _ = _OFFER.unpack_from(app.data)
    takes = bool(flags & _RTX), bool(flags & _FEC), bool(flags & _RED)
    return RepairOffer(app.ssrc, media, *takes, fec_share, red_depth, fec_frames, deadline_ms)
