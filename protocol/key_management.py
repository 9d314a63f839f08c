"""Where RTSP and SDP carry key management messages (RFC 4567): KeyMgmt headers and a=key-mgmt lines."""

from __future__ import annotations

import base64

from protocol.encoded import from_base64
from protocol.errors import Unsupported
from protocol.rtsp import quoted

HEADER, ATTRIBUTE = "KeyMgmt", "key-mgmt"


def header(message: bytes, url: str) -> str:
    """The value of a KeyMgmt header with a MIKEY message for that URL (§3.2)."""
    return f"prot=mikey; uri={quoted.quote(url)}; data={quoted.quote(base64.b64encode(message).decode())}"


def attribute(message: bytes) -> str:
    """The value of an a=key-mgmt line (§3.1)."""
    return f"mikey {base64.b64encode(message).decode()}"


def from_header(value: str) -> bytes:
    """The MIKEY message in a KeyMgmt header. Raises Malformed, Unsupported where there is none."""
    for offer in quoted.split(value, ","):
        words = dict(quoted.parameters(offer, ";"))
        if words.get("prot", "").lower() == "mikey":
            return from_base64(words.get("data", ""), "key_management")
    raise Unsupported("key_management", "KeyMgmt without MIKEY")


def from_attribute(value: str) -> bytes:
    """The MIKEY message in an a=key-mgmt line. Raises Malformed, Unsupported for other protocols."""
    protocol, _, data = value.strip().partition(" ")
    if protocol.lower() != "mikey":
        raise Unsupported("key_management", protocol[:40])
    return from_base64(data.strip(), "key_management")
