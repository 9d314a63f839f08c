"""What one stream sends ahead of need: Reed–Solomon repair packets beside it, and earlier payloads repeated in each
packet of sound (RFC 2198). Nothing of it until a receiver has wished for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from protocol.payload.registry import FEC_PAYLOAD_TYPE, RED_PAYLOAD_TYPE
from protocol.rtcp.repair_offer import RepairOffer
from sender.transmit.protection import Protection
from sender.transmit.redundancy import Redundancy
from sender.transmit.stream import StreamConfig

SMALL = 600
"""octets of a datagram while repair packets are sent beside frames of few packets: twice as many packets are repaired
by twice as many, of which chance spoils a smaller share."""
_FEW = 10
"""packets of full size in a frame."""


class Ahead:
    """Of one stream; sans-IO."""

    def __init__(self, config: StreamConfig, ssrc: int, first_repair: int, max_datagram: int) -> None:
        """`ssrc`, `first_repair`: of the repair packets."""
        sound = config.media == "audio"
        self._protection = Protection(config.ssrc, ssrc, FEC_PAYLOAD_TYPE, first_repair, every_packet_is_a_frame=sound)
        self._redundancy = Redundancy(RED_PAYLOAD_TYPE, max_datagram) if sound else None
        self._max_datagram = max_datagram
        self._few = config.bitrate * config.frame_interval / 8e9 < _FEW * max_datagram

    def wish(self, offers: Sequence[RepairOffer], share: float | None, *, everyone: bool) -> None:
        """What receivers of this stream want now; `share`: octets of repair for each of media that the user decided on,
        for those who take it. Redundancy changes the packets themselves: `everyone` has to take it."""
        taking = [offer for offer in offers if offer.fec]
        wished = max((offer.fec_share / 256 for offer in taking), default=0.0)
        self._protection.share = wished if share is None or not taking else share
        self._protection.frames = max((offer.fec_frames for offer in taking), default=0) or 2
        if self._redundancy is not None:
            all_take = everyone and bool(offers) and all(offer.red for offer in offers)
            self._redundancy.depth = max(offer.red_depth for offer in offers) if all_take else 0

    @property
    def max_datagram(self) -> int:
        """Octets of UDP payload that a media packet should have at most."""
        return min(SMALL, self._max_datagram) if self._protection.share > 0 and self._few else self._max_datagram

    @property
    def part(self) -> float:
        """Of the largest packet, that a packet is at most now."""
        return self.max_datagram / self._max_datagram

    @property
    def repeats(self) -> bool:
        """Whether packets of sound carry those before them."""
        return self._redundancy is not None and self._redundancy.depth > 0

    def wrap(self, datagrams: Iterable[bytes]) -> list[bytes]:
        """The packets as they are to leave."""
        if self._redundancy is None:
            return list(datagrams)
        return [self._redundancy.wrap(datagram) for datagram in datagrams]

    def protect(self, datagrams: Sequence[bytes]) -> list[bytes]:
        """Repair packets that leave right behind these."""
        return self._protection.protect(datagrams)

    @property
    def packets(self) -> int:
        """Repair packets so far."""
        return self._protection.packets

    @property
    def octets(self) -> int:
        """Of their UDP payloads."""
        return self._protection.octets
