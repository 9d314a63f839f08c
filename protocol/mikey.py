"""MIKEY (RFC 3830): a message that brings the SRTP key of one direction.

Only the pre-shared key message without any such key: neither encrypted nor authenticated, so for TLS to carry.

+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|   version 1   |  type: PSK 0  | next payload  |V|     PRF     |
|                            CSB ID                             |
|    streams    | map: SRTP 0   | for each: policy, SSRC, ROC   |
| T: time | RAND | SP: the policy | KEMAC: the key and its salt |
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from protocol.errors import Malformed, Truncated, Unsupported
from protocol.srtp.master_key import MasterKey
from protocol.srtp.profile import Profile

_LAST, _KEMAC, _T, _ID, _CERTIFICATE, _SP, _RAND, _KEY_DATA, _EXTENSION = 0, 1, 5, 6, 7, 10, 11, 20, 21
"""payloads that are known here (§6.1)."""
_HEADER = struct.Struct("!BBBBIBB")
_STREAM = struct.Struct("!BII")
_TIME_NTP_UTC = 0
_TIME_LENGTHS = {0: 8, 1: 8, 2: 4}
_RANDOM_OCTETS = 16
_SRTP = 0
"""of security protocols, and of ways to name streams (§6.1.1)."""
_TEK, _TEK_AND_SALT = 2, 3
_VALIDITY_NONE, _VALIDITY_MKI, _VALIDITY_INTERVAL = 0, 1, 2
_MAC_LENGTHS = {0: 0, 1: 20}

# Parameters of SRTP (§6.10.1, RFC 7714 §14.3), and what holds where a policy does not say.
_CIPHER, _KEY, _AUTHENTICATION, _AUTHENTICATION_KEY, _SALT, _RATE = 0, 1, 2, 3, 4, 6
_ENCRYPT_RTP, _ENCRYPT_RTCP, _AUTHENTICATE, _TAG, _AEAD_TAG = 7, 8, 10, 11, 20
_AES_CM, _AES_GCM, _HMAC_SHA1 = 1, 6, 1
_DEFAULTS = {_CIPHER: _AES_CM, _AUTHENTICATION: _HMAC_SHA1, _RATE: 0}
_DEFAULTS |= {_ENCRYPT_RTP: 1, _ENCRYPT_RTCP: 1, _AUTHENTICATE: 1, _TAG: 10, _AEAD_TAG: 16}
_SHORT_TAG = 4
"""as length of the authentication key: what GStreamer writes for tags of 32 bits."""


# -- messages -----------------------------------------------------------------------------------------------------


def serialize(key: MasterKey, ntp: int) -> bytes:
    """The message with a key and the streams of its `rocs`; `ntp`: the time, 64 bits."""
    csb, random = secrets.token_bytes(4), secrets.token_bytes(_RANDOM_OCTETS)
    header = _HEADER.pack(1, 0, _T, 0, int.from_bytes(csb), len(key.rocs), _SRTP)
    streams = b"".join(_STREAM.pack(0, ssrc, roc) for ssrc, roc in key.rocs.items())
    time = struct.pack("!BBQ", _RAND, _TIME_NTP_UTC, ntp)
    policy = _policy(key.profile)
    return b"".join((
        header, streams, time, bytes((_SP, len(random))), random,
        struct.pack("!BBBH", _KEMAC, 0, _SRTP, len(policy)), policy, _key_transport(key),
    ))  # fmt: skip


def _policy(profile: Profile) -> bytes:
    cipher, authentication, length = (_AES_GCM, 0, 0) if profile.aead else (_AES_CM, _HMAC_SHA1, 20)
    said = {
        _CIPHER: cipher, _KEY: profile.key_length, _AUTHENTICATION: authentication, _AUTHENTICATION_KEY: length,
        _SALT: profile.salt_length, _ENCRYPT_RTP: 1, _ENCRYPT_RTCP: 1, _AUTHENTICATE: 1,
        _AEAD_TAG if profile.aead else _TAG: profile.tag_length,
    }  # fmt: skip
    return b"".join(bytes((parameter, 1, value)) for parameter, value in said.items())


def _key_transport(key: MasterKey) -> bytes:
    """Key and salt in one, as the field does it, although §6.13 has a place of its own for the salt."""
    secret = key.key + key.salt
    validity = bytes((len(key.mki),)) + key.mki if key.mki else b""
    kind = _TEK << 4 | (_VALIDITY_MKI if validity else _VALIDITY_NONE)
    data = struct.pack("!BBH", _LAST, kind, len(secret)) + secret + validity
    return struct.pack("!BBH", _LAST, 0, len(data)) + data + b"\0"


def parse(data: bytes) -> MasterKey:
    """The key in a message, with the roll-over counters of its streams. Raises Truncated, Malformed, Unsupported."""
    reader = _Reader(data)
    version, kind, payload, _, _, count, map_type = reader.unpack(_HEADER)
    if version != 1:
        raise Malformed("mikey_version", f"version {version}")
    if kind != 0 or map_type != _SRTP:
        raise Unsupported("mikey_type", f"message {kind}, map {map_type}")
    streams = [reader.unpack(_STREAM) for _ in range(count)]
    policies: dict[int, Mapping[int, int]] = {}
    secret: _Secret | None = None
    while payload != _LAST:
        following = reader.octet()
        if payload == _SP:
            number, policy = _parse_policy(reader)
            policies[number] = policy
        elif payload == _KEMAC:
            secret = _parse_transport(reader)
        else:
            _pass_over(payload, reader)
        payload = following
    if secret is None:
        raise Malformed("mikey_key", "a message without a key")
    number = streams[0][0] if streams else 0
    rocs = {ssrc: roc for policy, ssrc, roc in streams if policy == number}
    return _master_key(_profile({**_DEFAULTS, **policies.get(number, {})}), secret, rocs)


@dataclass(frozen=True, slots=True)
class _Secret:
    """What a key data payload holds."""

    key: bytes
    salt: bytes
    mki: bytes


def _master_key(profile: Profile, secret: _Secret, rocs: Mapping[int, int]) -> MasterKey:
    """The salt is where §6.13 puts it, or behind the key as GStreamer has it."""
    octets = secret.key + secret.salt
    if len(octets) != profile.key_length + profile.salt_length:
        raise Malformed("mikey_key", f"{len(secret.key)} and {len(secret.salt)} octets of key and salt")
    return MasterKey(profile, octets[: profile.key_length], octets[profile.key_length :], secret.mki, rocs)


def _profile(policy: Mapping[int, int]) -> Profile:
    cipher, bits = policy[_CIPHER], 8 * policy.get(_KEY, 16)
    protected = policy[_ENCRYPT_RTP] and policy[_ENCRYPT_RTCP] and not policy[_RATE]
    if protected and cipher == _AES_GCM and bits in (128, 256) and policy[_AEAD_TAG] == 16:
        return Profile.AEAD_AES_128_GCM if bits == 128 else Profile.AEAD_AES_256_GCM
    tagged = policy[_AUTHENTICATE] and policy[_AUTHENTICATION] == _HMAC_SHA1 and policy[_TAG] == 10
    if protected and tagged and (cipher, bits) == (_AES_CM, 128) and policy.get(_AUTHENTICATION_KEY) != _SHORT_TAG:
        return Profile.AES_CM_128_HMAC_SHA1_80
    raise Unsupported("mikey_policy", f"cipher {cipher} with {bits} bits, authentication {policy[_AUTHENTICATION]}")


# -- payloads -----------------------------------------------------------------------------------------------------


class _Reader:
    """Takes octets off the front."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, count: int) -> bytes:
        """Raises Truncated."""
        taken = self._data[self._at : self._at + count]
        if len(taken) < count:
            raise Truncated("mikey", f"{len(taken)} of {count} octets")
        self._at += count
        return taken

    def octet(self) -> int:
        return self.take(1)[0]

    def sized(self, octets: int) -> bytes:
        """What stands behind a length of that many octets."""
        return self.take(int.from_bytes(self.take(octets)))

    def unpack(self, form: struct.Struct) -> tuple[int, ...]:
        return form.unpack(self.take(form.size))

    @property
    def empty(self) -> bool:
        return self._at >= len(self._data)


def _parse_policy(reader: _Reader) -> tuple[int, Mapping[int, int]]:
    """(its number, values by parameter) of a security policy (§6.10)."""
    number, protocol = reader.octet(), reader.octet()
    parameters = _Reader(reader.sized(2))
    if protocol != _SRTP:
        raise Unsupported("mikey_policy", f"security protocol {protocol}")
    values: dict[int, int] = {}
    while not parameters.empty:
        parameter = parameters.octet()
        values[parameter] = int.from_bytes(parameters.sized(1))
    return number, values


def _parse_transport(reader: _Reader) -> _Secret:
    """KEMAC (§6.2): the first key in it."""
    encryption = reader.octet()
    data = reader.sized(2)
    mac = reader.octet()
    reader.take(_MAC_LENGTHS.get(mac, 0))
    if encryption or mac:
        raise Unsupported("mikey_encrypted", "a key that is encrypted with another one")
    return _parse_key_data(_Reader(data))


def _parse_key_data(reader: _Reader) -> _Secret:
    """§6.13: a key that encrypts traffic, not one to derive such keys from."""
    reader.octet()  # further keys are not taken
    kind, validity = divmod(reader.octet(), 16)
    if kind not in (_TEK, _TEK_AND_SALT):
        raise Unsupported("mikey_key", f"key of type {kind}")
    key = reader.sized(2)
    salt = reader.sized(2) if kind == _TEK_AND_SALT else b""
    return _Secret(key, salt, reader.sized(1) if validity == _VALIDITY_MKI else b"")


def _pass_over(payload: int, reader: _Reader) -> None:
    """Payloads that say nothing of use here."""
    if payload == _T:
        kind = reader.octet()
        if kind not in _TIME_LENGTHS:
            raise Malformed("mikey_time", f"time stamp of type {kind}")
        reader.take(_TIME_LENGTHS[kind])
    elif payload == _RAND:
        reader.sized(1)
    elif payload in (_ID, _CERTIFICATE, _EXTENSION):
        reader.octet()
        reader.sized(2)
    else:
        raise Unsupported("mikey_payload", f"payload {payload}")
