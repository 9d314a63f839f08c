"""A secret that both ends have, and the keys that are made of it: others for each run and each direction."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Literal

from protocol.srtp.master_key import MasterKey
from protocol.srtp.profile import Profile

Role = Literal["sender", "receiver"]
PROFILE = Profile.AEAD_AES_128_GCM
SALT_LENGTH = 16
"""octets, random, of each run of each end."""
TAG_LENGTH = 16
_ONCE_AND_FOR_ALL = b"steadycast shared secret 1"
_COST = {"n": 1 << 14, "r": 8, "p": 1, "dklen": 32}
"""of scrypt (RFC 7914): 16 MB and some 50 ms for each passphrase that somebody tries."""


@dataclass(frozen=True, slots=True)
class SharedSecret:
    """Made of what a file says; that may be a passphrase, so trying many of them is made expensive."""

    secret: bytes = field(repr=False)

    @classmethod
    def of(cls, text: bytes) -> SharedSecret:
        return cls(hashlib.scrypt(text, salt=_ONCE_AND_FOR_ALL, **_COST))

    def master_key(self, role: Role, salt: bytes) -> MasterKey:
        """What the run with this salt encrypts with."""
        octets = self._derived(salt, f"steadycast srtp 1 {role}", PROFILE.key_length + PROFILE.salt_length)
        return MasterKey(PROFILE, octets[: PROFILE.key_length], octets[PROFILE.key_length :])

    def tag(self, role: Role, salt: bytes, data: bytes) -> bytes:
        """Shows that whoever announces the run with this salt has the secret."""
        key = self._derived(salt, f"steadycast announcement 1 {role}", 32)
        return hmac.digest(key, data, hashlib.sha256)[:TAG_LENGTH]

    def _derived(self, salt: bytes, purpose: str, length: int) -> bytes:
        return hkdf(self.secret, salt, purpose.encode(), length)


def hkdf(secret: bytes, salt: bytes, information: bytes, length: int) -> bytes:
    """HKDF with SHA-256 (RFC 5869), up to 255 times 32 octets."""
    key = hmac.digest(salt, secret, hashlib.sha256)
    made = block = b""
    while len(made) < length:
        block = hmac.digest(key, block + information + bytes((len(made) // 32 + 1,)), hashlib.sha256)
        made += block
    return made[:length]
