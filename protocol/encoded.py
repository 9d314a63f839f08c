"""Octets that came as text."""

from __future__ import annotations

import base64
import binascii

from protocol.errors import Malformed


def from_base64(text: str, reason: str) -> bytes:
    """Some leave out the padding. Raises Malformed with that reason; what was written is in no error text."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise Malformed(reason, "not base64") from None
