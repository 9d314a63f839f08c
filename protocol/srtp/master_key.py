"""What two ends must have in common before one can read the other."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from protocol.errors import UsageError
from protocol.srtp.profile import SRTCP_INDEX, Profile


@dataclass(frozen=True, slots=True)
class MasterKey:
    """For one direction: whoever sends with it is the only one that does."""

    profile: Profile
    key: bytes = field(repr=False)
    salt: bytes = field(repr=False)
    mki: bytes = b""
    """the master key identifier in each packet; empty: there is none."""
    rocs: Mapping[int, int] = field(default_factory=dict)
    """roll-over counters by SSRC, as they came with the key: how often a stream's numbers have wrapped by now."""

    def __post_init__(self) -> None:
        if (len(self.key), len(self.salt)) != (self.profile.key_length, self.profile.salt_length):
            raise UsageError(
                f"{self.profile.value} takes a key of {self.profile.key_length} octets and a salt of "
                f"{self.profile.salt_length}, not {len(self.key)} and {len(self.salt)}"
            )

    @classmethod
    def generate(cls, profile: Profile) -> MasterKey:
        """A new one that nobody knows."""
        return cls(profile, secrets.token_bytes(profile.key_length), secrets.token_bytes(profile.salt_length))

    @property
    def rtp_overhead(self) -> int:
        """Octets that an RTP packet grows by."""
        return self.profile.tag_length + len(self.mki)

    @property
    def rtcp_overhead(self) -> int:
        """Octets that an RTCP packet grows by."""
        return self.rtp_overhead + SRTCP_INDEX
