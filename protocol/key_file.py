"""`--key-file FILE`: a secret for both of our programs, or the key of another program.

A passphrase, or what `openssl rand -base64 32` writes, is a secret that each run makes fresh keys of. A line that
begins with a suite has a key as other programs take it, in hexadecimal or base64: `AES_CM_128_HMAC_SHA1_80 KEYANDSALT`.
That is the sender's. Its receivers' reports need one of their own, on a second line; without it they say nothing.
"""

from __future__ import annotations

import binascii
import stat
from dataclasses import dataclass
from pathlib import Path

from protocol.encoded import from_base64
from protocol.errors import ProtocolError, UsageError
from protocol.key_exchange import KeyExchange
from protocol.srtp.encryption import Encryption, FixedKeys
from protocol.srtp.master_key import MasterKey
from protocol.srtp.profile import Profile
from protocol.srtp.protector import Protector
from protocol.srtp.shared_secret import Role, SharedSecret

SHORTEST = 16
"""octets of a secret."""
_LARGEST = 64 * 1024
_SUITES = {profile.value.lower(): profile for profile in Profile} | {
    "srtp_aes128_cm_hmac_sha1_80": Profile.AES_CM_128_HMAC_SHA1_80,
    "aes-128-icm": Profile.AES_CM_128_HMAC_SHA1_80,
    "aes-128-gcm": Profile.AEAD_AES_128_GCM,
    "aes-256-gcm": Profile.AEAD_AES_256_GCM,
}
"""as FFmpeg and GStreamer call them, too."""


@dataclass(frozen=True, slots=True)
class KeyFile:
    """One of both."""

    name: str
    secret: SharedSecret | None
    media: MasterKey | None = None
    """the sender's, for what other programs take."""
    reports: MasterKey | None = None
    """its receivers'."""

    def sender(self, *, now: int, wall: int) -> Encryption:
        """For a destination. `wall`: Unix ns at `now`, monotonic ns."""
        return self._end("sender", self.media, self.reports, now, wall)

    def receiver(self, *, now: int, wall: int) -> Encryption:
        """For a receiver with all its senders."""
        return self._end("receiver", self.reports, self.media, now, wall)

    def _end(self, role: Role, ours: MasterKey | None, theirs: MasterKey | None, now: int, wall: int) -> Encryption:
        if self.secret is not None:
            return KeyExchange(self.secret, role, now=now, wall=wall)
        return FixedKeys(None if ours is None else Protector(ours), [] if theirs is None else [theirs])

    @property
    def silent_receiver(self) -> bool:
        """A receiver can't report: it has no key of its own."""
        return self.secret is None and self.reports is None


def read(name: str) -> KeyFile:
    """Raises UsageError with one line that shows nothing of what the file holds."""
    path = Path(name)
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise UsageError(f"cannot read the key file {name}: {error.strerror}") from None
    if len(data) > _LARGEST:
        raise UsageError(f"{name} is too large for a key file")
    return parse(data, name)


def readable_by_others(name: str) -> bool:
    """Whether other users of this machine can read it, too."""
    try:
        return bool(Path(name).stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))
    except OSError:
        return False


def parse(data: bytes, name: str) -> KeyFile:
    """What the file holds. Raises UsageError."""
    lines = [line.split() for line in data.decode("utf-8", "replace").splitlines() if line.split()]
    if lines and len(lines[0]) > 1 and lines[0][0].lower() in _SUITES:
        if len(lines) > 2:
            raise UsageError(f"{name} has {len(lines)} keys: the sender's, and one for reports, are what can be used")
        media, *reports = (_key(words, name) for words in lines)
        if reports and reports[0] == media:
            raise UsageError(f"{name} has the same key twice: each direction needs its own")
        return KeyFile(name, None, media, *reports)
    secret = data.strip()
    if len(secret) < SHORTEST:
        raise UsageError(
            f"{name} holds {len(secret)} octets where a secret needs {SHORTEST}: make one with"
            " `openssl rand -base64 32`"
        )
    return KeyFile(name, SharedSecret.of(secret))


def _key(words: list[str], name: str) -> MasterKey:
    profile = _SUITES.get(words[0].lower())
    if profile is None or len(words) != 2:
        raise UsageError(f"{name}: write a suite and a key on each line, as AES_CM_128_HMAC_SHA1_80 KEYANDSALT")
    length = profile.key_length + profile.salt_length
    octets = _octets(words[1], length)
    if octets is None:
        raise UsageError(
            f"{name}: {profile.value} takes a key and salt of {length} octets together, in hexadecimal or base64"
        )
    return MasterKey(profile, octets[: profile.key_length], octets[profile.key_length :])


def _octets(text: str, length: int) -> bytes | None:
    """By their length no key in one form is one in the other."""
    if len(text) == 2 * length:
        try:
            return binascii.unhexlify(text)
        except (binascii.Error, ValueError):
            return None
    try:
        octets = from_base64(text, "key_file")
    except ProtocolError:
        return None
    return octets if len(octets) == length else None
