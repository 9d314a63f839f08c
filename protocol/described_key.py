"""The key in a session description, that whoever wrote it sends with: MIKEY (RFC 4567) or SDES (RFC 4568)."""

from __future__ import annotations

from protocol import key_management, mikey, sdes
from protocol.errors import ProtocolError
from protocol.sdp import MediaDescription, SessionDescription
from protocol.srtp.master_key import MasterKey


def described_key(session: SessionDescription, media: MediaDescription) -> MasterKey | None:
    """Of one media section; None where there is none that can be used."""
    for value in (media.attribute(key_management.ATTRIBUTE), session.attribute(key_management.ATTRIBUTE)):
        if value is not None:
            try:
                return mikey.parse(key_management.from_attribute(value))
            except ProtocolError:
                continue
    offered = sdes.offered(media)
    return offered[0].key if offered else None


def is_secure(media: MediaDescription) -> bool:
    """Its packets are SRTP's."""
    return "SAVP" in media.protocol.upper()
