"""What repair each receiver takes, by its own word."""

from __future__ import annotations

from protocol.rtcp.repair_offer import RepairOffer


class Offers:
    """The newest offer of each receiver for each stream. It is bounded by whoever decides which receivers are known."""

    def __init__(self) -> None:
        self._offers: dict[int, dict[int, RepairOffer]] = {}

    def hear(self, offer: RepairOffer) -> None:
        """About one of our streams."""
        self._offers.setdefault(offer.ssrc, {})[offer.media_ssrc] = offer

    def forget(self, receiver: int) -> None:
        """It is gone."""
        self._offers.pop(receiver, None)

    def receivers(self) -> list[int]:
        """Who has said something."""
        return list(self._offers)

    def of(self, receiver: int, media_ssrc: int) -> RepairOffer | None:
        """None: it has said nothing."""
        return self._offers.get(receiver, {}).get(media_ssrc)

    def about(self, media_ssrc: int) -> list[RepairOffer]:
        """Of all receivers, about one stream."""
        return [offers[media_ssrc] for offers in self._offers.values() if media_ssrc in offers]
