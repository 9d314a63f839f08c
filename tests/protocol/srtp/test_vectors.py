"""What goes on the wire, against the vectors of the RFCs, through a second reading of them (`srtp_reference`)."""

from __future__ import annotations

import struct

import pytest

from protocol.errors import UsageError
from protocol.srtp.master_key import MasterKey
from protocol.srtp.profile import Profile
from protocol.srtp.protector import Protector
from protocol.srtp.unprotector import Unprotector
from tests.support import srtp_reference as reference

KEY = bytes.fromhex("e1f97a0d3e018be0d64fa32c06de4139")
SALT = bytes.fromhex("0ec675ad498afeebb6960b3aabe6")
GALLIA = bytes.fromhex("8040f17b 8041f8d3 5501a0b2") + b"Gallia est omnis divisa in partes tres"


def of_length(length: int) -> bytes:
    return bytes(range(length))


def a_key(profile: Profile) -> MasterKey:
    return MasterKey(profile, of_length(profile.key_length), of_length(14)[: profile.salt_length])


def a_packet(number: int, ssrc: int = 0xCAFEBABE, payload: bytes = b"media") -> bytes:
    return struct.pack("!BBHII", 0x80, 96, number, 1000, ssrc) + payload


def a_report(ssrc: int = 0xCAFEBABE) -> bytes:
    return struct.pack("!BBHI", 0x80, 201, 1, ssrc) + bytes.fromhex("80cb0001") + struct.pack("!I", ssrc)


# The reading itself


def test_aes_in_counter_mode_of_rfc_3711_b_2() -> None:
    key = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
    stream = reference.key_stream(key, 0xF0F1F2F3F4F5F6F7F8F9FAFBFCFD0000, 48)
    assert stream.hex() == (
        "e03ead0935c95e80e166b16dd92b4eb4d23513162b02d0f72a43a2fe4a5f97ab41e95b3bb0a2e8dd477901e4fca894c0"
    )


def test_session_keys_of_rfc_3711_b_3() -> None:
    assert reference.derived(KEY, SALT, reference.ENCRYPTION, 16).hex() == "c61e7a93744f39ee10734afe3ff7a087"
    assert reference.derived(KEY, SALT, reference.SALT, 14).hex() == "30cbbc08863d8c85d49db34a9ae1"
    assert reference.derived(KEY, SALT, reference.AUTHENTICATION, 20).hex() == (
        "cebe321f6ff7716b6fd4ab49af256a156d38baa4"
    )


def test_gcm_of_rfc_7714_16_1_and_16_2() -> None:
    assert reference.seal_rtp(of_length(16), b"Quid pro quo", GALLIA, 0)[12:].hex(" ", -4) == (
        "f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf "
        "765ee439 0cce"
    )
    assert reference.seal_rtp(of_length(32), b"Quid pro quo", GALLIA, 0)[12:].hex(" ", -4) == (
        "32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02 76ffae0f 1ba63799 b87b7aa3 db36dfff d6b0f9bb "
        "7878d7a7 6c13"
    )


def test_gcm_of_rfc_7714_17_1() -> None:
    report = bytes.fromhex(
        "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61"
        "deadbeef deadbeef deadbeef deadbeef deadbeef"
    )
    assert reference.seal_rtcp(of_length(16), b"Quid pro quo", report, 0x5D4).hex(" ", -4) == (
        "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda 4ce09b46 86303ded "
        "0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4"
    )


# Ours


def test_the_packet_that_libsrtp_and_others_publish() -> None:
    """Known from libsrtp's own tests: AES_CM_128_HMAC_SHA1_80, 16 octets of ab."""
    key = MasterKey(Profile.AES_CM_128_HMAC_SHA1_80, KEY, SALT)
    plain = bytes.fromhex("800f1234decafbadcafebabe") + b"\xab" * 16
    protected = bytes.fromhex("800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb")
    assert Protector(key).protect([plain]) == [protected]
    assert Unprotector(key).unprotect(protected, 0) == plain


@pytest.mark.parametrize("profile", Profile)
def test_rtp_is_what_the_rfcs_say(profile: Profile) -> None:
    key = a_key(profile)
    encrypt = reference.rtp_gcm if profile.aead else reference.rtp_cm
    expected = encrypt(key.key, key.salt, a_packet(7, payload=b"x" * 1100), 0)
    assert Protector(key).protect([a_packet(7, payload=b"x" * 1100)]) == [expected]
    assert Unprotector(key).unprotect(expected, 0) == a_packet(7, payload=b"x" * 1100)


@pytest.mark.parametrize("profile", Profile)
def test_rtcp_is_what_the_rfcs_say(profile: Profile) -> None:
    key = a_key(profile)
    encrypt = reference.rtcp_gcm if profile.aead else reference.rtcp_cm
    protected = Protector(key).protect([a_report(), a_report()])
    assert protected == [encrypt(key.key, key.salt, a_report(), index) for index in (1, 2)]
    assert Unprotector(key).unprotect(protected[0], 0) == a_report()


@pytest.mark.parametrize("profile", Profile)
def test_how_much_it_adds(profile: Profile) -> None:
    key = a_key(profile)
    rtp, rtcp = Protector(key).protect([a_packet(1), a_report()])
    assert (len(rtp) - len(a_packet(1)), len(rtcp) - len(a_report())) == (key.rtp_overhead, key.rtcp_overhead)


def test_how_much_the_rfcs_say_it_adds() -> None:
    """RFC 3711 §5.2 and §3.4; RFC 7714 §13.2."""
    overheads = {profile: (a_key(profile).rtp_overhead, a_key(profile).rtcp_overhead) for profile in Profile}
    assert overheads[Profile.AES_CM_128_HMAC_SHA1_80] == (10, 14)
    assert overheads[Profile.AEAD_AES_128_GCM] == overheads[Profile.AEAD_AES_256_GCM] == (16, 20)


@pytest.mark.parametrize("profile", Profile)
def test_an_identifier_of_the_key_is_where_rfc_3711_has_it(profile: Profile) -> None:
    bare = a_key(profile)
    key = MasterKey(profile, bare.key, bare.salt, mki=b"MKI!")
    encrypt = reference.rtp_gcm if profile.aead else reference.rtp_cm
    without = encrypt(key.key, key.salt, a_packet(7), 0)
    at = len(without) - (0 if profile.aead else 10)
    expected = without[:at] + b"MKI!" + without[at:]
    assert Protector(key).protect([a_packet(7)]) == [expected]
    receiver = Unprotector(key)
    assert receiver.unprotect(expected, 0) == a_packet(7)
    assert receiver.unprotect(expected.replace(b"MKI!", b"MKI?"), 0) is None
    assert receiver.refused.reasons == {"srtp_other_key": 1}
    assert receiver.unprotect(Protector(key).protect([a_report()])[0], 0) == a_report()


def test_secrets_are_not_printed() -> None:
    key = MasterKey.generate(Profile.AEAD_AES_128_GCM)
    for shown in (repr(key), str(key), f"{key}"):
        assert repr(key.key) not in shown
        assert repr(key.salt) not in shown
        assert "key=" not in shown
    assert MasterKey.generate(Profile.AEAD_AES_128_GCM).key != key.key


def test_a_key_of_the_wrong_length() -> None:
    with pytest.raises(UsageError, match="takes a key of 32 octets and a salt of 12, not 16 and 12"):
        MasterKey(Profile.AEAD_AES_256_GCM, bytes(16), bytes(12))


def test_what_is_no_rtp_does_not_leave() -> None:
    protector = Protector(a_key(Profile.AEAD_AES_128_GCM))
    assert protector.protect([b"", b"\x80", b"no RTP, but long enough for it", a_packet(1)])[1:] == []
    assert protector.refused == 3


def test_a_number_is_used_once() -> None:
    """The same key stream twice would show what both packets have in common."""
    protector = Protector(a_key(Profile.AES_CM_128_HMAC_SHA1_80))
    assert len(protector.protect([a_packet(1), a_packet(2), a_packet(1, payload=b"other")])) == 2
    assert protector.refused == 1


def test_a_jumbo_packet() -> None:
    key = a_key(Profile.AEAD_AES_256_GCM)
    big = a_packet(1, payload=bytes(65_000))
    (protected,) = Protector(key).protect([big])
    assert Unprotector(key).unprotect(protected, 0) == big
