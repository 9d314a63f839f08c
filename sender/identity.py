"""SSRCs: each stream has its own to each destination (RFC 3550 §8), and so have its answers and its repair packets; and
a key for whoever wants it encrypted."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace

from protocol.payload import registry
from protocol.srtp.master_key import MasterKey
from protocol.srtp.profile import SRTCP_INDEX, Profile
from sender.transmit.stream import StreamConfig

_PROFILE = Profile.AEAD_AES_128_GCM
_RTX = {apt: payload_type for payload_type, apt in registry.DEFAULT_RTX_PAYLOAD_TYPES.items()}


OVERHEAD = _PROFILE.tag_length + SRTCP_INDEX
"""octets that a datagram grows by under such a key."""


def new_key(ssrcs: Iterable[int]) -> MasterKey:
    """For streams that nothing of was sent with it."""
    return replace(MasterKey.generate(_PROFILE), rocs=dict.fromkeys(ssrcs, 0))


@dataclass(frozen=True, slots=True)
class Identity:
    """Of one stream to one destination."""

    media: int
    rtx: int
    fec: int
    key: MasterKey

    @classmethod
    def new(cls, numbers: random.Random) -> Identity:
        media, rtx, fec = numbers.sample(range(1, 1 << 32), 3)
        return cls(media, rtx, fec, new_key((media, rtx, fec)))

    def given_to(self, form: StreamConfig, *, repair: bool) -> StreamConfig:
        """The stream, but for its paths."""
        rtx_type = _RTX.get(form.payload_type) if repair else None
        return replace(
            form, ssrc=self.media, rtx_payload_type=rtx_type, rtx_ssrc=self.rtx, fec_ssrc=self.fec if repair else None
        )
