"""The SDP of what goes to one target (RFC 8866), for players that want it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from protocol import rtx, sdes
from protocol.errors import ResourceError
from protocol.sdes import Crypto
from protocol.sdp import (
    Attribute,
    Connection,
    MediaDescription,
    Origin,
    RtpMap,
    SessionDescription,
    format_attributes,
    serialize,
)
from protocol.srtp.master_key import MasterKey
from sender.paths import Path, TargetPaths
from sender.transmit.stream import StreamConfig

Ports = tuple[int, int]
"""of packets and of reports; the same where both share one."""


def describe(
    target: TargetPaths,
    streams: Sequence[StreamConfig],
    *,
    cname: str,
    ttl: int,
    session_id: int,
    key: MasterKey | None = None,
) -> bytes:
    """`ttl` of multicast; `session_id` tells this run from others; `key`: what it is encrypted with. One shared port is
    a bundle (RFC 8843)."""
    host = str(target.address[0]).partition("%")[0]
    address_type = "IP6" if ":" in host else "IP4"
    scope = ttl if target.multicast and address_type == "IP4" else None
    ports = [_ports(target, stream.media) for stream in streams]
    bundled = len({port for port, _ in ports}) < len(streams)
    group = (Attribute("group", "BUNDLE " + " ".join(stream.media for stream in streams)),) if bundled else ()
    return serialize(
        SessionDescription(
            Origin(session_id=str(session_id), address_type=address_type, address=host),
            name="Steadycast",
            connection=Connection(host, address_type, scope),
            attributes=group,
            media=tuple(
                encrypted(describe_media(stream, pair, cname, mid=bundled), key)
                for stream, pair in zip(streams, ports, strict=True)
            ),
        )
    )


def encrypted(media: MediaDescription, key: MasterKey | None) -> MediaDescription:
    """As SRTP, with the key (RFC 4568); as it is without one."""
    if key is None:
        return media
    line = sdes.attribute(Crypto(1, key))
    return replace(media, protocol="RTP/SAVP", attributes=(line, *media.attributes))


def write_description(path: str, description: bytes, *, secret: bool = False) -> None:
    """`secret`: others may not read a file that is made. Raises ResourceError in one line."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600 if secret else 0o666)
        with open(descriptor, "wb") as file:
            file.write(description)
    except OSError as error:
        raise ResourceError(f"--sdp: cannot write {path}: {error.strerror}") from error


def describe_media(stream: StreamConfig, ports: Ports, cname: str, *, mid: bool) -> MediaDescription:
    """One stream; `mid`: it has to be told apart within a bundle."""
    port, rtcp = ports
    formats = {
        stream.payload_type: RtpMap(stream.encoding, stream.clock_rate, stream.channels, stream.parameters),
    }
    if stream.rtx_payload_type is not None:
        apt = {"apt": str(stream.payload_type)}
        formats[stream.rtx_payload_type] = RtpMap(rtx.ENCODING, stream.clock_rate, parameters=apt)
    attributes = list(format_attributes(formats))
    if rtcp == port:
        attributes.append(Attribute("rtcp-mux"))
    elif rtcp != port + 1:
        attributes.append(Attribute("rtcp", str(rtcp)))
    if mid:
        attributes.append(Attribute("mid", stream.media))
    if stream.media == "video":
        attributes.append(Attribute("framerate", f"{1e9 / stream.frame_interval:.4g}"))
    attributes += [Attribute("sendonly"), Attribute("ssrc", f"{stream.ssrc} cname:{cname}")]
    if stream.rtx_payload_type is not None:
        attributes.append(Attribute("ssrc-group", f"FID {stream.ssrc} {stream.rtx_ssrc}"))
        attributes.append(Attribute("ssrc", f"{stream.rtx_ssrc} cname:{cname}"))
    return MediaDescription(
        stream.media,
        port,
        formats=tuple(map(str, formats)),
        bandwidth=(("AS", -(-stream.bitrate // 1000)),),
        attributes=tuple(attributes),
    )


def _ports(target: TargetPaths, media: str) -> Ports:
    rtp, rtcp = target.rtp(media), target.rtcp(media)
    assert isinstance(rtp, Path)
    assert isinstance(rtcp, Path)
    return rtp.address[1], rtcp.address[1]
