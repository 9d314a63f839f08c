"""Where RTSP and SDP carry key management messages (RFC 4567): KeyMgmt headers and a=key-mgmt lines."""

from __future__ import annotations

import base64
import time

from protocol import mikey, ntp
from protocol.encoded import from_base64
from protocol.errors import ProtocolError, Unsupported
from protocol.rtsp import quoted
from protocol.rtsp.headers import Headers
from protocol.srtp.master_key import MasterKey

HEADER, ATTRIBUTE = "KeyMgmt", "key-mgmt"


def new_message(key: MasterKey) -> bytes:
    """A new MIKEY message with this key."""
    return mikey.serialize(key, ntp.ntp_from_unix(time.time_ns()))


def telling(key: MasterKey, url: str) -> Headers:
    """A request or an answer about that URL tells the key."""
    return Headers.of((HEADER, header(new_message(key), url)))


def offered(headers: Headers) -> MasterKey | None:
    """The key that a request or an answer tells; None where there is none that can be used."""
    value = headers.get(HEADER)
    try:
        return None if value is None else mikey.parse(from_header(value))
    except ProtocolError:
        return None


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
