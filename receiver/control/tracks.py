"""A presentation's description (RFC 2326 C.1) → the tracks that can be played, and a line about each of the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from protocol import sdp
from protocol.payload.registry import FEC_PAYLOAD_TYPE, RED_PAYLOAD_TYPE
from receiver.config import ReceiverConfig
from receiver.description import (
    RED,
    ULPFEC,
    playable_formats,
    protection_formats,
    retransmission_formats,
)
from receiver.media import Format
from receiver.payload_types import PayloadTypes


@dataclass(frozen=True, slots=True)
class Track:
    """One media line."""

    number: int
    """from 1 on."""
    described: sdp.MediaDescription
    types: PayloadTypes
    """no formats among them: it cannot be played."""

    @property
    def control(self) -> str | None:
        """What stands for it in URLs."""
        return self.described.attribute("control")

    def __str__(self) -> str:
        names = dict.fromkeys(form.encoding for form in self.types.formats.values())
        return ", ".join(names) or _encodings(self.described)


def tracks(description: sdp.SessionDescription, config: ReceiverConfig) -> list[Track]:
    """Of every media line. Raises Malformed."""
    return [Track(number, media, payload_types(media, config)) for number, media in enumerate(description.media, 1)]


def left_out(track: Track) -> str:
    """Of one that cannot be played."""
    return f"track {track.number} cannot be played and is left out: {track.described.media}, {track}"


def payload_types(media: sdp.MediaDescription, config: ReceiverConfig) -> PayloadTypes:
    """What payload types mean in a media line: --map before the line. Raises Malformed."""
    mapped = {pt: form for pt, form in config.mapped.items() if str(pt) in media.formats}
    formats = playable_formats(media) | {pt: form for pt, form in mapped.items() if form.encoding not in (RED, ULPFEC)}
    protection = protection_formats(media) | {pt: form for pt, form in mapped.items() if pt not in formats}
    if not formats:
        return PayloadTypes({})
    known = {*map(int, sdp.rtp_formats(media)), *mapped}
    repaired, ahead = config.repair.kind != "none", config.repair.kind == "auto"
    return PayloadTypes(
        formats,
        rtx=_originals(media, {*formats, *protection}, formats) if repaired else {},
        rtx_ssrcs={again: original for original, again in media.flows},
        fec=FEC_PAYLOAD_TYPE if ahead and FEC_PAYLOAD_TYPE not in known else None,
        red=RED_PAYLOAD_TYPE if ahead and RED_PAYLOAD_TYPE not in known else None,
        wrapped=tuple(pt for pt, form in protection.items() if form.encoding == RED),
        ulpfec=tuple(pt for pt, form in protection.items() if form.encoding == ULPFEC),
    )


def _originals(media: sdp.MediaDescription, others: set[int], formats: Mapping[int, Format]) -> dict[int, int]:
    """Payload types of retransmissions, with those of their originals."""
    found = {pt: int(form.parameters["apt"]) for pt, form in retransmission_formats(media).items()}
    return {pt: apt for pt, apt in found.items() if pt not in others and apt in formats}


def _encodings(media: sdp.MediaDescription) -> str:
    """As the line has them."""
    if media.protocol.upper().startswith("RTP/S"):
        return f"encrypted ({media.protocol})"
    names = dict.fromkeys(known.encoding for known in sdp.rtp_formats(media).values())
    return ", ".join(names) or f"{media.protocol} {' '.join(media.formats)}"
