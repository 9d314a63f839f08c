"""libsrtp, as pylibsrtp binds it.

The functions are called beneath pylibsrtp's Session: that takes packets of at most 1500 octets only, and copies each
more often than it must. Nothing else in here knows of pylibsrtp.
"""

from __future__ import annotations

from socket import htonl
from typing import Any

import pylibsrtp  # noqa: F401 (initialises the library)
from pylibsrtp._binding import ffi, lib

from protocol.errors import ResourceError
from protocol.srtp.master_key import MasterKey
from protocol.srtp.profile import Profile

OK, AUTHENTICATION, REPLAYED, TOO_OLD = 0, 7, 9, 10
"""srtp_err_status_t."""
WINDOW = 8192
"""packets behind the newest of a stream among which each is taken once (RFC 3711 §3.3.2)."""

protect, protect_rtcp = lib.srtp_protect, lib.srtp_protect_rtcp
unprotect, unprotect_rtcp = lib.srtp_unprotect, lib.srtp_unprotect_rtcp
"""(handle, pointer to the packet, pointer to its length) -> status; in place, the length is changed."""

_PROFILES = {
    Profile.AES_CM_128_HMAC_SHA1_80: lib.srtp_profile_aes128_cm_sha1_80,
    Profile.AEAD_AES_128_GCM: lib.srtp_profile_aead_aes_128_gcm,
    Profile.AEAD_AES_256_GCM: lib.srtp_profile_aead_aes_256_gcm,
}


class Context:
    """What libsrtp keeps of the streams of one key in one direction: not for two threads at once.

    A stream appears with its first packet, inbound only once that is authentic, and counts from roll-over 0.
    """

    def __init__(self, key: MasterKey, *, inbound: bool) -> None:
        """Raises ResourceError when the library lacks the cipher."""
        policy = ffi.new("srtp_policy_t *")
        profile = _PROFILES[key.profile]
        lib.srtp_crypto_policy_set_from_profile_for_rtp(ffi.addressof(policy, "rtp"), profile)
        lib.srtp_crypto_policy_set_from_profile_for_rtcp(ffi.addressof(policy, "rtcp"), profile)
        octets = ffi.new("unsigned char[]", key.key + key.salt)  # libsrtp keeps what it derives, not this
        policy.key = octets
        policy.ssrc.type = lib.ssrc_any_inbound if inbound else lib.ssrc_any_outbound
        policy.window_size = WINDOW
        made = ffi.new("srtp_t *")
        status = lib.srtp_create(made, policy)
        ffi.memmove(octets, bytes(len(octets)), len(octets))
        if status != OK:
            raise ResourceError(f"this libsrtp does not do {key.profile.value} (error {status})")
        self._owner = ffi.gc(made, _free)
        self.handle: Any = made[0]

    def forget(self, ssrc: int) -> None:
        """As if nothing of this stream had come."""
        lib.srtp_remove_stream(self.handle, htonl(ssrc))


def _free(made: Any) -> None:
    lib.srtp_dealloc(made[0])


class Memory:
    """Octets that libsrtp works in, and a place for a length."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.pointer: Any = ffi.new("char[]", size)
        self.octets: Any = ffi.buffer(self.pointer)
        self.length: Any = ffi.new("int *")
