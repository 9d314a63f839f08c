from __future__ import annotations

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from protocol.srtp.shared_secret import SharedSecret, hkdf

SALT = bytes(range(16))


def test_hkdf_of_rfc_5869() -> None:
    """A.1 and A.2."""
    secret, salt = b"\x0b" * 22, bytes(range(13))
    assert hkdf(secret, salt, bytes(range(0xF0, 0xFA)), 42).hex() == (
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    )
    long = hkdf(bytes(range(0x50)), bytes(range(0x60, 0xB0)), bytes(range(0xB0, 0x100)), 82)
    assert long.hex() == (
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09"
        "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"
    )


def test_keys_as_docs_wire_has_them() -> None:
    """Made again with another library."""
    secret = Scrypt(salt=b"steadycast shared secret 1", length=32, n=1 << 14, r=8, p=1).derive(b"a line of sixteen")
    for role in ("sender", "receiver"):
        made = SharedSecret.of(b"a line of sixteen").master_key(role, SALT)
        octets = HKDF(SHA256(), 28, SALT, f"steadycast srtp 1 {role}".encode()).derive(secret)
        assert made.key + made.salt == octets
        assert made.profile.value == "AEAD_AES_128_GCM"


def test_nothing_is_used_twice() -> None:
    secret, other = SharedSecret.of(b"a line of sixteen"), SharedSecret.of(b"another line of it")
    made = [
        secret.master_key("sender", SALT),
        secret.master_key("receiver", SALT),
        secret.master_key("sender", bytes(16)),
        other.master_key("sender", SALT),
    ]
    assert len({key.key for key in made}) == len({key.salt for key in made}) == len(made)
    assert secret.tag("sender", SALT, b"x") != secret.tag("receiver", SALT, b"x")


def test_a_secret_is_not_printed() -> None:
    secret = SharedSecret.of(b"a line of sixteen")
    assert repr(secret) == "SharedSecret()"
