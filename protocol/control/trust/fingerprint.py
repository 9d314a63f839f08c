"""A certificate's fingerprint: SHA-256 of its DER, written as openssl and browsers write it."""

from __future__ import annotations

import hashlib
import re

from protocol.errors import UsageError

_LABEL = re.compile(r"\s*(?:sha-?256)?\s*(?:fingerprint)?\s*[:= ]?\s*", re.IGNORECASE)
_DIGITS = 64


def fingerprint(certificate: bytes) -> str:
    """Of a DER certificate: `AB:CD:…`, 32 bytes."""
    return hashlib.sha256(certificate).digest().hex(":").upper()


def read_fingerprint(text: str) -> str:
    """What a person pasted, with or without colons and a label before it. Raises UsageError."""
    digits = "".join(_LABEL.sub("", text, count=1).split()).replace(":", "").upper()
    if not re.fullmatch(f"[0-9A-F]{{{_DIGITS}}}", digits):
        raise UsageError(f"{text[:100]!r} is no SHA-256 fingerprint: write its 64 hexadecimal digits, as AB:CD:…")
    return ":".join(digits[at : at + 2] for at in range(0, _DIGITS, 2))
