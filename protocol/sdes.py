"""SDP security descriptions (RFC 4568): keys in a=crypto lines. Whoever reads the description reads the key.

a=crypto:<tag> <suite> inline:<key||salt in base64>[|<lifetime>][|<MKI>:<its length>] [<session parameters>]
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

from protocol.encoded import from_base64
from protocol.errors import Malformed, ProtocolError, Unsupported
from protocol.sdp import Attribute, MediaDescription
from protocol.srtp.master_key import MasterKey
from protocol.srtp.profile import Profile

_TAG = re.compile("[0-9]{1,9}")
_LIFETIME = re.compile(r"(2\^)?([0-9]{1,15})")
_MKI = re.compile("([0-9]{1,40}):([0-9]{1,3})")
_LONGEST_MKI = 128
_LARGEST_EXPONENT = 48
_HARMLESS = ("FEC_ORDER", "WSH")
"""session parameters that change nothing for who does no FEC below SRTP and has a large enough window."""


@dataclass(frozen=True, slots=True)
class Crypto:
    """One a=crypto line that can be used: what whoever wrote it encrypts with."""

    tag: int
    key: MasterKey
    lifetime: int | None = None
    """packets; None: as many as SRTP allows."""


def offered(media: MediaDescription) -> list[Crypto]:
    """What can be used of a media section's a=crypto lines, most wanted first; the others are passed over."""
    found = []
    for attribute in media.attributes:
        if attribute.name == "crypto":
            try:
                found.append(parse(attribute.value or ""))
            except ProtocolError:
                continue
    return found


def parse(value: str) -> Crypto:
    """One a=crypto line's value. Raises Malformed, Unsupported for suites and parameters that nothing here does."""
    words = value.split()
    if len(words) < 3 or not _TAG.fullmatch(words[0]):
        raise Malformed("sdes", "a=crypto is not a tag, a suite and a key")
    tag, suite, keys, *parameters = words
    profile = next((profile for profile in Profile if profile.value == suite.upper()), None)
    if profile is None:
        raise Unsupported("sdes_suite", suite[:40])
    for parameter in parameters:
        if not parameter.startswith(("-", *_HARMLESS)):  # "-": optional (§6.3.7)
            raise Unsupported("sdes_parameter", parameter[:40])
    return _parse_key(int(tag), profile, keys.split(";")[0])  # of several keys the first is the one to begin with


def _parse_key(tag: int, profile: Profile, text: str) -> Crypto:
    method, _, information = text.partition(":")
    if method.lower() != "inline":
        raise Unsupported("sdes_method", method[:40])
    secret, *rest = information.split("|")
    lifetime, mki = None, b""
    for part in rest:
        if ":" in part:
            mki = _parse_mki(part)
        else:
            lifetime = _parse_lifetime(part)
    octets = from_base64(secret, "sdes_key")
    if len(octets) != profile.key_length + profile.salt_length:
        raise Malformed("sdes_key", f"{len(octets)} octets of key and salt")
    key = MasterKey(profile, octets[: profile.key_length], octets[profile.key_length :], mki)
    return Crypto(tag, key, lifetime)


def _parse_lifetime(text: str) -> int:
    match = _LIFETIME.fullmatch(text)
    number = int(match[2]) if match else 0
    if match is None or (match[1] and number > _LARGEST_EXPONENT):
        raise Malformed("sdes_lifetime", text[:20])
    return 1 << number if match[1] else number


def _parse_mki(text: str) -> bytes:
    match = _MKI.fullmatch(text)
    number, length = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= length <= _LONGEST_MKI or number >= 1 << 8 * length:
        raise Malformed("sdes_mki", text[:20])
    return number.to_bytes(length)


def attribute(crypto: Crypto) -> Attribute:
    """The line, with a lifetime only where there is one."""
    key = crypto.key
    parts = [base64.b64encode(key.key + key.salt).decode()]
    if crypto.lifetime is not None:
        parts.append(_lifetime(crypto.lifetime))
    if key.mki:
        parts.append(f"{int.from_bytes(key.mki)}:{len(key.mki)}")
    return Attribute("crypto", f"{crypto.tag} {key.profile.value} inline:{'|'.join(parts)}")


def _lifetime(packets: int) -> str:
    exponent = packets.bit_length() - 1
    return f"2^{exponent}" if packets > 1 and packets == 1 << exponent else str(packets)
