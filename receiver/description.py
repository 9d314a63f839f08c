"""An SDP file (RFC 8866) → where to listen, and what the payload types mean."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from protocol import rtx, sdp
from protocol.described_key import described_key, is_secure
from protocol.errors import ProtocolError, UsageError
from protocol.payload import registry
from protocol.srtp.master_key import MasterKey
from receiver.config import Listen, ReceiverConfig
from receiver.media import Format

ENCODINGS = {name.lower(): name for name in ("H264", "VP8", "JPEG", "opus", "L16", "PCMU", "PCMA")}
"""What can be played, by its name in lower case."""
RED, ULPFEC = PROTECTION = ("red", "ulpfec")
"""What may be around the packets of a stream of pictures, or among them: RFC 2198, RFC 5109."""
PROTOCOLS = ("RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF")
_LARGEST = 1 << 20


def formats(config: ReceiverConfig) -> dict[int, Format]:
    """What each payload type of media means: --map before the description before the default map."""
    return playable(_meanings(config))


def playable(meanings: Mapping[int, Format]) -> dict[int, Format]:
    """Those of media among what payload types mean."""
    return {pt: form for pt, form in meanings.items() if form.encoding not in (rtx.ENCODING, *PROTECTION)}


def protection(config: ReceiverConfig, encoding: str) -> tuple[int, ...]:
    """The payload types of RED, or of ULPFEC, of pictures."""
    return tuple(pt for pt, form in _meanings(config).items() if form.encoding == encoding)


def _meanings(config: ReceiverConfig) -> dict[int, Format]:
    described = config.formats
    if described is None:
        described = {pt: Format(*row) for pt, row in registry.DEFAULT_PAYLOAD_TYPES.items()}
    return {**described, **config.mapped}


def retransmissions(config: ReceiverConfig) -> dict[int, int]:
    """The payload types of retransmissions, with those of their originals; none where nothing is to be repaired."""
    if config.repair.kind == "none":
        return {}
    media = formats(config)
    others = {*media, *protection(config, RED), *protection(config, ULPFEC)}
    if config.formats is None:
        known = dict(registry.DEFAULT_RTX_PAYLOAD_TYPES)
    else:
        again = {pt: form for pt, form in config.formats.items() if form.encoding == rtx.ENCODING}
        known = {pt: int(form.parameters["apt"]) for pt, form in again.items()}
    return {pt: apt for pt, apt in known.items() if pt not in others and apt in media}


def ahead(config: ReceiverConfig, payload_type: int) -> int | None:
    """The payload type of what is sent ahead of need; None where it is ruled out, or means something else."""
    known = _meanings(config).get(payload_type)
    return payload_type if config.repair.kind == "auto" and (known is None or known.encoding == rtx.ENCODING) else None


def read_description(path: str) -> tuple[Listen, Mapping[int, Format]]:
    """Raises UsageError in one line where the file cannot be read or describes nothing playable."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(_LARGEST)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    try:
        return describe(sdp.parse(data))
    except ProtocolError as error:
        raise UsageError(f"{path} is no usable SDP: {error}") from None
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


def describe(session: sdp.SessionDescription) -> tuple[Listen, Mapping[int, Format]]:
    """Every RTP and RTCP port of what can be played. Raises UsageError, and Malformed for numbers out of range."""
    found: dict[int, Format] = {}
    ports: list[int] = []
    groups: set[str] = set()
    rtx_ssrcs: dict[int, int] = {}
    keys: dict[int, tuple[MasterKey, ...]] = {}
    for media in session.media:
        key = described_key(session, media)  # FFmpeg writes a=crypto, but RTP/AVP
        media_formats = {} if key is None and is_secure(media) else playable_formats(media)
        if not media_formats or not media.port:
            continue
        if key is not None:
            for port in {media.port, media.rtcp_port}:
                keys[port] = (*keys.get(port, ()), key)
        _merge(found, media_formats | retransmission_formats(media) | protection_formats(media))
        rtx_ssrcs |= {again: original for original, again in media.flows}
        ports += [media.port, media.rtcp_port]
        groups |= _groups(session.connection_of(media))
    if not found:
        raise UsageError(_nothing_playable(session))
    if len(groups) > 1:
        raise UsageError(f"more than one multicast group ({', '.join(sorted(groups))}): run a receiver for each")
    return Listen(next(iter(groups), None), tuple(sorted(set(ports))), rtx_ssrcs, keys=keys), found


def playable_formats(media: sdp.MediaDescription) -> dict[int, Format]:
    """What of a media line can be played, by payload type, by whoever has its key if it is SRTP. Raises Malformed."""
    if media.protocol.upper() not in PROTOCOLS:
        return {}
    formats = {
        number: Format(ENCODINGS[known.encoding.lower()], known.clock_rate, known.channels, known.parameters)
        for number, known in sdp.rtp_formats(media).items()
        if known.encoding.lower() in ENCODINGS
    }
    readings = {number: (form, replace(form, parameters={})) for number, form in formats.items()}
    found = {number: next(filter(exists, forms), None) for number, forms in readings.items()}
    return {number: form for number, form in found.items() if form is not None}  # odd parameters are passed over


def exists(form: Format) -> bool:
    """Whether the payload format has such a clock rate, and so many channels."""
    try:
        registry.depacketizer(form.encoding, form.clock_rate, form.channels, form.parameters)
    except ProtocolError:
        return False
    return True


def retransmission_formats(media: sdp.MediaDescription) -> dict[int, Format]:
    """RFC 4588 §8: those whose originals the same line has."""
    known = sdp.rtp_formats(media)
    return {
        number: Format(rtx.ENCODING, form.clock_rate, form.channels, form.parameters)
        for number, form in known.items()
        if form.encoding.lower() == rtx.ENCODING and form.parameters.get("apt", "") in map(str, known)
    }


def protection_formats(media: sdp.MediaDescription) -> dict[int, Format]:
    """RED and ULPFEC of pictures."""
    if media.media != "video":
        return {}
    known = sdp.rtp_formats(media)
    return {
        number: Format(form.encoding.lower(), form.clock_rate, form.channels)
        for number, form in known.items()
        if form.encoding.lower() in PROTECTION
    }


def _merge(found: dict[int, Format], more: Mapping[int, Format]) -> None:
    for number, format in more.items():
        if found.setdefault(number, format) != format:
            names = f"{found[number].encoding} and {format.encoding}"
            raise UsageError(f"payload type {number} is {names} at once: give each its own in the program that sends")


def _groups(connection: sdp.Connection | None) -> set[str]:
    """The multicast group to join; a unicast address is the sender's idea of this machine, and any will do."""
    try:
        multicast = connection is not None and ipaddress.ip_address(connection.address).is_multicast
    except ValueError:
        multicast = False  # a host name
    return {connection.address} if multicast and connection is not None else set()


def _nothing_playable(session: sdp.SessionDescription) -> str:
    if any("SAVP" in media.protocol.upper() for media in session.media):
        return "it describes encrypted streams (SRTP), without a key that can be used"
    found = sorted({known.encoding for media in session.media for known in sdp.rtp_formats(media).values()})
    there = f"only {', '.join(found)}" if found else "no RTP stream"
    return f"it describes {there}; what can be played is {', '.join(ENCODINGS.values())}"
