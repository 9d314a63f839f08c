"""The keys of one track that is asked for: theirs is in its description or in the answer to SETUP, ours is new."""

from __future__ import annotations

from dataclasses import replace

from protocol import key_management
from protocol.described_key import described_key
from protocol.rtsp.headers import Headers
from protocol.sdp import MediaDescription, SessionDescription
from protocol.srtp.encryption import Encryption, FixedKeys
from protocol.srtp.master_key import MasterKey
from protocol.srtp.profile import Profile
from protocol.srtp.protector import Protector


class TrackKeys:
    """`ssrc`: of our reports."""

    def __init__(self, session: SessionDescription, media: MediaDescription, ssrc: int) -> None:
        self._described = described_key(session, media)
        by_mikey = any(each.attribute(key_management.ATTRIBUTE) is not None for each in (session, media))
        self._told = by_mikey or self._described is None
        """they are to have our key, too: whoever only describes theirs (RFC 4568) has no use for it."""
        profile = Profile.AEAD_AES_128_GCM if self._described is None else self._described.profile
        self._ours = replace(MasterKey.generate(profile), rocs={ssrc: 0})

    def headers(self, url: str) -> Headers:
        """Of the SETUP of that URL."""
        if not self._told:
            return Headers()
        return key_management.telling(self._ours, url)

    def agreed(self, answer: Headers) -> Encryption | None:
        """What holds after this answer; None: they have not said with which key they encrypt."""
        theirs = key_management.offered(answer) or self._described
        return None if theirs is None else FixedKeys(Protector(self._ours), [theirs])
