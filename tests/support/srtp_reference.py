"""SRTP read from the RFCs again, with another library: what ours puts on the wire is compared with this."""

from __future__ import annotations

import hashlib
import hmac
import struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ENCRYPTION, AUTHENTICATION, SALT = 0, 1, 2
"""labels of RTP's session keys (RFC 3711 §4.3.1); those of RTCP are 3 more."""
_RTCP = 3


def key_stream(key: bytes, counter: int, length: int) -> bytes:
    """AES in counter mode from a 128-bit counter block (RFC 3711 §4.1.1)."""
    encryptor = Cipher(algorithms.AES(key), modes.CTR(counter.to_bytes(16))).encryptor()
    return encryptor.update(bytes(length)) + encryptor.finalize()


def derived(key: bytes, salt: bytes, label: int, length: int) -> bytes:
    """A session key, key derivation rate 0 (RFC 3711 §4.3.1, §4.3.3); a salt of 96 bits is filled up (RFC 7714 §11)."""
    x = int.from_bytes(salt.ljust(14, b"\0")) ^ label << 48
    return key_stream(key, x << 16, length)


def _xor(one: bytes, two: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, two, strict=True))


def rtp_cm(key: bytes, salt: bytes, packet: bytes, roc: int) -> bytes:
    """AES_CM_128_HMAC_SHA1_80 of an RTP packet without CSRCs and extension."""
    session, mac, session_salt = (
        derived(key, salt, label, length) for label, length in ((ENCRYPTION, 16), (AUTHENTICATION, 20), (SALT, 14))
    )
    index = roc << 16 | int.from_bytes(packet[2:4])
    counter = int.from_bytes(session_salt) << 16 ^ int.from_bytes(packet[8:12]) << 64 ^ index << 16
    encrypted = packet[:12] + _xor(packet[12:], key_stream(session, counter, len(packet) - 12))
    return encrypted + hmac.digest(mac, encrypted + struct.pack("!I", roc), hashlib.sha1)[:10]


def rtcp_cm(key: bytes, salt: bytes, packet: bytes, index: int) -> bytes:
    """AES_CM_128_HMAC_SHA1_80 of an RTCP packet (RFC 3711 §3.4)."""
    session, mac, session_salt = (
        derived(key, salt, label + _RTCP, length)
        for label, length in ((ENCRYPTION, 16), (AUTHENTICATION, 20), (SALT, 14))
    )
    counter = int.from_bytes(session_salt) << 16 ^ int.from_bytes(packet[4:8]) << 64 ^ index << 16
    encrypted = packet[:8] + _xor(packet[8:], key_stream(session, counter, len(packet) - 8))
    encrypted += struct.pack("!I", 1 << 31 | index)
    return encrypted + hmac.digest(mac, encrypted, hashlib.sha1)[:10]


def seal_rtp(session: bytes, session_salt: bytes, packet: bytes, roc: int) -> bytes:
    """AES-GCM of an RTP packet under session keys (RFC 7714 §8.1, §8.2)."""
    nonce = _xor(b"\0\0" + packet[8:12] + struct.pack("!I", roc) + packet[2:4], session_salt)
    return packet[:12] + AESGCM(session).encrypt(nonce, packet[12:], packet[:12])


def seal_rtcp(session: bytes, session_salt: bytes, packet: bytes, index: int) -> bytes:
    """AES-GCM of an RTCP packet under session keys (RFC 7714 §9.1, §9.2)."""
    nonce = _xor(b"\0\0" + packet[4:8] + b"\0\0" + struct.pack("!I", index), session_salt)
    trailer = struct.pack("!I", 1 << 31 | index)
    return packet[:8] + AESGCM(session).encrypt(nonce, packet[8:], packet[:8] + trailer) + trailer


def rtp_gcm(key: bytes, salt: bytes, packet: bytes, roc: int) -> bytes:
    """AEAD_AES_128_GCM or AEAD_AES_256_GCM of an RTP packet, as the key is long."""
    return seal_rtp(derived(key, salt, ENCRYPTION, len(key)), derived(key, salt, SALT, 12), packet, roc)


def rtcp_gcm(key: bytes, salt: bytes, packet: bytes, index: int) -> bytes:
    """The same of an RTCP packet."""
    session, session_salt = (
        derived(key, salt, label + _RTCP, length) for label, length in ((ENCRYPTION, len(key)), (SALT, 12))
    )
    return seal_rtcp(session, session_salt, packet, index)
