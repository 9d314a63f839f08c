"""The SDP of what RTSP is about: as DESCRIBE gives it, and ANNOUNCE (RFC 2326, appendix C)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from protocol import key_management
from protocol.rtsp import range as npt
from protocol.rtsp.range import Npt
from protocol.sdp import Attribute, Connection, MediaDescription, Origin, SessionDescription, serialize
from protocol.srtp.master_key import MasterKey
from sender.description import describe_media
from sender.transmit.stream import StreamConfig


def track_name(index: int) -> str:
    """What is behind the presentation's URL in that of a track."""
    return f"track{index + 1}"


def describe(
    streams: Sequence[StreamConfig],
    span: Npt | None,
    host: str,
    *,
    cname: str,
    session_id: int,
    keys: Sequence[MasterKey] | None = None,
) -> bytes:
    """`streams` with the SSRCs that they will have; `span`: what can be played, where that is asked; `host`: our
    address as the other end knows it; `keys`: of each, None: nothing is encrypted. Ports are a matter of SETUP."""
    version6 = ":" in host
    address_type = "IP6" if version6 else "IP4"
    attributes = () if span is None else (Attribute("range", npt.serialize(span)),)
    media = []
    for index, stream in enumerate(streams):
        told = describe_media(stream, (0, 1), cname, mid=False)
        control = Attribute("control", track_name(index))
        told = replace(told, attributes=(control, *told.attributes))
        media.append(told if keys is None else _encrypted(told, keys[index]))
    return serialize(
        SessionDescription(
            Origin(session_id=str(session_id), address_type=address_type, address=host.partition("%")[0] or "0.0.0.0"),
            name="Steadycast",
            connection=Connection("::" if version6 else "0.0.0.0", address_type),
            attributes=(Attribute("control", "*"), *attributes),
            media=tuple(media),
        )
    )


def _encrypted(media: MediaDescription, key: MasterKey) -> MediaDescription:
    """With the key that is sent with."""
    attribute = Attribute(key_management.ATTRIBUTE, key_management.attribute(key_management.new_message(key)))
    return replace(media, protocol="RTP/SAVP", attributes=(*media.attributes, attribute))
