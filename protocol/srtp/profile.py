"""The transforms that are spoken: their sizes, and what they are called elsewhere."""

from __future__ import annotations

from enum import Enum

SRTCP_INDEX = 4
"""octets of the encryption flag and index at the end of each SRTCP packet (RFC 3711 §3.4)."""


class Profile(Enum):
    """A cipher with its authentication: the value is its name in SDES (RFC 4568 §6.2, RFC 7714 §14.1)."""

    AES_CM_128_HMAC_SHA1_80 = "AES_CM_128_HMAC_SHA1_80"
    AEAD_AES_128_GCM = "AEAD_AES_128_GCM"
    AEAD_AES_256_GCM = "AEAD_AES_256_GCM"

    @property
    def aead(self) -> bool:
        return self is not Profile.AES_CM_128_HMAC_SHA1_80

    @property
    def key_length(self) -> int:
        """Octets of the master key."""
        return 32 if self is Profile.AEAD_AES_256_GCM else 16

    @property
    def salt_length(self) -> int:
        """Octets of the master salt."""
        return 12 if self.aead else 14

    @property
    def tag_length(self) -> int:
        """Octets of the authentication tag, of RTP and RTCP alike."""
        return 16 if self.aead else 10
