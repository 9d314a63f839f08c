"""Which key a run encrypts with (APP `SCST`, subtype 5, alone in a datagram and not encrypted; docs/wire.md)."""

from __future__ import annotations

import hmac
import struct
from dataclasses import dataclass

from protocol.rtcp.app import App
from protocol.rtcp.range import NAME
from protocol.srtp.shared_secret import SALT_LENGTH, TAG_LENGTH, Role, SharedSecret

ANNOUNCEMENT = 5
NOBODY = bytes(SALT_LENGTH)
"""in place of another run's salt."""
_BODY = struct.Struct(f"!I{SALT_LENGTH}sQ{SALT_LENGTH}s")
_WANTS_ECHO = 1 << 31
_HEAD = bytes(App(0, ANNOUNCEMENT, NAME, bytes(_BODY.size + TAG_LENGTH)))[:12]
SIZE = len(_HEAD) + _BODY.size + TAG_LENGTH


@dataclass(frozen=True, slots=True)
class KeyAnnouncement:
    """One run of one end about itself."""

    salt: bytes
    """that its key is made with."""
    time: int
    """64-bit NTP, its own clock's."""
    echo: bytes = NOBODY
    """salt of the run that it answers: so its announcement is no older than that."""
    wants_echo: bool = False
    """it cannot tell whether the other end's announcements are new."""

    def pack(self, secret: SharedSecret, role: Role) -> bytes:
        """The datagram."""
        body = _BODY.pack(_WANTS_ECHO * self.wants_echo, self.salt, self.time, self.echo)
        return _HEAD + body + secret.tag(role, self.salt, _HEAD + body)


def is_announcement(datagram: bytes | memoryview) -> bool:
    """It looks like one: no RTP, and no RTCP that would be encrypted, since that begins with a report."""
    return len(datagram) == SIZE and datagram[: len(_HEAD)] == _HEAD


def unpack(datagram: bytes, secret: SharedSecret, role: Role) -> KeyAnnouncement | None:
    """What an announcement says; None when who made it does not have the secret, or not this role."""
    flags, salt, time, echo = _BODY.unpack_from(datagram, len(_HEAD))
    if not hmac.compare_digest(datagram[-TAG_LENGTH:], secret.tag(role, salt, datagram[:-TAG_LENGTH])):
        return None
    return KeyAnnouncement(salt, time, echo, bool(flags & _WANTS_ECHO))
