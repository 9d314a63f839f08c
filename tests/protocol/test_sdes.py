from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import sdes, sdp
from protocol.errors import Malformed, ProtocolError, Unsupported
from protocol.sdes import Crypto
from protocol.srtp.master_key import MasterKey
from protocol.srtp.profile import Profile

SECRET = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"


def test_the_examples_of_rfc_4568() -> None:
    """§10.1 and §9.1: key and salt of 30 octets, a lifetime of 2^20 packets, MKI 1 of 4 octets or of 32."""
    one = sdes.parse(f"1 AES_CM_128_HMAC_SHA1_80 inline:{SECRET}|2^20|1:4 FEC_ORDER=FEC_SRTP")
    assert (one.tag, one.lifetime, one.key.mki.hex()) == (1, 1 << 20, "00000001")
    assert one.key.key + one.key.salt == b"YS___semctl () {\t220;}\n}\nunles"
    two = sdes.parse("1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:32")
    assert two.key.mki == (1).to_bytes(32)


def test_what_rtpengine_and_webrtc_programs_write() -> None:
    """AEAD suites, and a key without its padding (RFC 7714 §14.1: 28 and 44 octets)."""
    padded = sdes.parse("3 AEAD_AES_128_GCM inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw==")
    bare = sdes.parse("3 AEAD_AES_128_GCM inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw")
    assert padded == bare
    assert padded.key.salt == bytes(range(16, 28))


SECTION = f"""v=0
m=audio 5004 RTP/SAVP 0
a=crypto:1 F8_128_HMAC_SHA1_80 inline:{SECRET}
a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:{SECRET}
a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:{SECRET} UNENCRYPTED_SRTP
a=crypto:4 AES_CM_128_HMAC_SHA1_80 inline:short
a=crypto:5 AES_CM_128_HMAC_SHA1_80 inline:{SECRET} -unheard_of WSH=128
a=crypto
a=crypto:6 AEAD_AES_256_GCM inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKis=
"""


def test_lines_that_cannot_be_used_are_passed_over() -> None:
    (media,) = sdp.parse(SECTION).media
    assert [crypto.tag for crypto in sdes.offered(media)] == [5, 6]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("", Malformed),
        ("1 AES_CM_128_HMAC_SHA1_80", Malformed),
        (f"x AES_CM_128_HMAC_SHA1_80 inline:{SECRET}", Malformed),
        ("1 AES_CM_128_HMAC_SHA1_80 inline:WVNf", Malformed),
        ("1 AES_CM_128_HMAC_SHA1_80 inline:!!!", Malformed),
        (f"1 AES_CM_128_HMAC_SHA1_80 uri:{SECRET}", Unsupported),
        (f"1 AES_CM_128_HMAC_SHA1_80 inline:{SECRET}|2^99", Malformed),
        (f"1 AES_CM_128_HMAC_SHA1_80 inline:{SECRET}|256:1", Malformed),
        (f"1 AES_CM_128_HMAC_SHA1_80 inline:{SECRET}|1:0", Malformed),
        (f"1 AES_CM_128_HMAC_SHA1_80 inline:{SECRET} KDR=1", Unsupported),
    ],
)
def test_bad_lines(line: str, error: type[ProtocolError]) -> None:
    with pytest.raises(error) as raised:
        sdes.parse(line)
    assert SECRET[:4] not in str(raised.value), "an error text shows no key"


@given(
    st.sampled_from(Profile),
    st.integers(0, 999),
    st.none() | st.integers(1, 1 << 48),
    st.binary(max_size=128),
)
def test_there_and_back(profile: Profile, tag: int, lifetime: int | None, mki: bytes) -> None:
    bare = MasterKey.generate(profile)
    made = Crypto(tag, MasterKey(profile, bare.key, bare.salt, mki if len(mki) <= 16 else b"\0"), lifetime)
    line = sdes.attribute(made)
    assert sdes.parse(line.value or "") == made


@given(
    st.text(max_size=80) | st.from_regex(r"1 AES_CM_128_HMAC_SHA1_80 inline:[A-Za-z0-9+/|^:=]{0,60}", fullmatch=True)
)
def test_nothing_else_is_raised(text: str) -> None:
    with suppress(ProtocolError):
        sdes.parse(text)
