from __future__ import annotations

import base64
import json
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import key_management, mikey
from protocol.errors import Malformed, ProtocolError, Truncated, Unsupported
from protocol.srtp.master_key import MasterKey
from protocol.srtp.profile import Profile
from tests.support import peers

NTP = 0xEEAE6377_05E353F7
GSTREAMERS = (
    "AQAFAM2Ke5EBAAASNFZ4AAAAAwsA7q+Ll6Op4rwKEOdl/KL4MDlidEGwIRVebfkBAAAAFQABAQEBEAIBAQMBCgcBAQgBAQoBAQAAACIAIAAeAAECAwQF"
    "BgcICQoLDA0ODxAREhMUFRYXGBkaGxwdAA=="
)
"""GStreamer 1.22.0 for aes-128-icm, hmac-sha1-80, SSRC 0x12345678, roll-over counter 3, key and salt 00 01 02 …"""
CIPHERS = {
    Profile.AES_CM_128_HMAC_SHA1_80: ("aes-128-icm", "hmac-sha1-80"),
    Profile.AEAD_AES_128_GCM: ("aes-128-gcm", "null"),
    Profile.AEAD_AES_256_GCM: ("aes-256-gcm", "null"),
}


def a_key(profile: Profile, mki: bytes = b"", rocs: dict[int, int] | None = None) -> MasterKey:
    made = MasterKey.generate(profile)
    return MasterKey(profile, made.key, made.salt, mki, rocs or {})


def test_what_gstreamer_writes() -> None:
    key = mikey.parse(base64.b64decode(GSTREAMERS))
    assert key.profile is Profile.AES_CM_128_HMAC_SHA1_80
    assert key.key + key.salt == bytes(range(30))
    assert key.rocs == {0x12345678: 3}


def test_the_layout_of_rfc_3830() -> None:
    """§6.1 to §6.13 by hand: header, T, RAND, SP and KEMAC."""
    key = MasterKey(Profile.AES_CM_128_HMAC_SHA1_80, b"k" * 16, b"s" * 14, rocs={0x0A0B0C0D: 2})
    data = mikey.serialize(key, NTP)
    assert data[:4].hex() == "01000500"
    assert data[8:19].hex() == "0100" + "00" + "0a0b0c0d" + "00000002"
    assert data[19:29].hex() == "0b00" + f"{NTP:016x}"
    assert data[29:31].hex() == "0a10"
    policy = data[47:]
    assert policy[:5].hex() == "010000001b"
    assert policy[5:32].hex(" ", 3) == "000101 010110 020101 030114 04010e 070101 080101 0a0101 0b010a"
    assert policy[32:].hex() == "00" + "00" + "0022" + "00" + "20" + "001e" + (b"k" * 16 + b"s" * 14).hex() + "00"


def test_no_two_messages_are_alike() -> None:
    key = a_key(Profile.AEAD_AES_128_GCM)
    assert mikey.serialize(key, NTP) != mikey.serialize(key, NTP)


@given(
    st.sampled_from(Profile),
    st.binary(max_size=255),
    st.dictionaries(st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFFFFFF), max_size=20),
)
def test_there_and_back(profile: Profile, mki: bytes, rocs: dict[int, int]) -> None:
    key = a_key(profile, mki, rocs)
    assert mikey.parse(mikey.serialize(key, NTP)) == key


def changed(at: int, to: bytes, size: int = 0) -> bytes:
    """GStreamer's message with other octets from there on."""
    data = base64.b64decode(GSTREAMERS)
    return data[:at] + to + data[at + (size or len(to)) :]


SP = 47
"""where the policy begins in it."""
KEY_DATA = SP + 5 + 0x15 + 4


def test_a_salt_of_its_own() -> None:
    """§6.13: TEK and SALT, each with its length."""
    secret = bytes.fromhex("003000") + b"\x10" + bytes(range(16)) + b"\0\x0e" + bytes(range(16, 30))
    head = base64.b64decode(GSTREAMERS)[: KEY_DATA - 2]
    with_salt = head + len(secret).to_bytes(2) + secret + b"\0"
    assert mikey.parse(with_salt) == mikey.parse(base64.b64decode(GSTREAMERS))


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", Truncated),
        (changed(0, b"\2"), Malformed),
        (changed(1, b"\2"), Unsupported),  # public keys
        (changed(9, b"\1"), Unsupported),  # another way to name streams
        (changed(2, b"\0"), Malformed),  # nothing follows: no key
        (changed(2, b"\2"), Unsupported),  # an envelope
        (changed(20, b"\7"), Malformed),  # a time of no known length
        (changed(SP + 7, b"\2"), Unsupported),  # F8
        (changed(SP + 10, b"\x20"), Unsupported),  # 256 bits in counter mode
        (changed(SP + 13, b"\0"), Unsupported),  # no authentication
        (changed(SP + 16, b"\4"), Unsupported),  # GStreamer's tag of 32 bits
        (changed(SP + 19, b"\0"), Unsupported),  # RTP in the clear
        (changed(KEY_DATA - 3, b"\1"), Unsupported),  # an encrypted key
        (changed(KEY_DATA + 1, b"\0"), Unsupported),  # a key to derive keys from
        (changed(KEY_DATA + 3, b"\x1d"), Malformed),
        (base64.b64decode(GSTREAMERS)[:-5], Truncated),
    ],
)
def test_messages_that_cannot_be_used(data: bytes, error: type[ProtocolError]) -> None:
    with pytest.raises(error):
        mikey.parse(data)


@given(st.binary(max_size=200), st.integers(0, 108), st.binary(max_size=4))
def test_nothing_else_is_raised(junk: bytes, at: int, piece: bytes) -> None:
    for data in (junk, changed(at, piece, 1)):
        with suppress(ProtocolError):
            mikey.parse(data)


# In headers and descriptions


def test_key_mgmt_of_rfc_4567() -> None:
    """§3.1 and §3.2; GStreamer writes no space behind the semicolons, and some leave quotes and padding out."""
    assert key_management.attribute(b"abcd") == "mikey YWJjZA=="
    header = 'prot=mikey; uri="rtsp://a/b"; data="YWJjZA=="'
    assert key_management.header(b"abcd", "rtsp://a/b") == header
    for value in (
        header,
        'prot=mikey;uri="rtsp://a/b,c";data="YWJjZA=="',
        "PROT=MIKEY;data=YWJjZA",
        f"prot=x, {header}",
    ):
        assert key_management.from_header(value) == b"abcd"
    assert key_management.from_attribute("mikey YWJjZA==") == b"abcd"
    for wrong in ("prot=x; data=YWJjZA==", "", ";"):
        with pytest.raises(Unsupported):
            key_management.from_header(wrong)
    with pytest.raises(Unsupported):
        key_management.from_attribute("sesame YWJjZA==")
    for malformed in ("mikey ???", "mikey a"):
        with pytest.raises(Malformed):
            key_management.from_attribute(malformed)


# Others


def ask(*questions: dict[str, str]) -> list[object]:
    """GStreamer's answers (`gst_mikey`)."""
    script = peers.ROOT / "tests/support/gst_mikey.py"
    check = ["/usr/bin/python3", "-c", "import gi; gi.require_version('Gst', '1.0')"]
    if not Path(check[0]).exists() or subprocess.run(check, capture_output=True, check=False).returncode:
        pytest.skip("GStreamer's Python bindings are not installed")
    lines = "".join(json.dumps(question) + "\n" for question in questions)
    result = subprocess.run(
        ["/usr/bin/python3", script], input=lines, capture_output=True, text=True, timeout=30, check=False
    )
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_gstreamer_reads_ours() -> None:
    keys = [a_key(profile, rocs={7: 2, 0xFFFFFFFF: 0}) for profile in Profile]
    answers = ask(*({"read": mikey.serialize(key, NTP).hex()} for key in keys))
    for key, answer in zip(keys, answers, strict=True):
        cipher, authentication = CIPHERS[key.profile]
        assert answer == {
            "key": (key.key + key.salt).hex(),
            "cipher": cipher,
            "authentication": authentication,
            "streams": [[0, 7, 2], [0, 0xFFFFFFFF, 0]],
        }


def test_gstreamers_is_read() -> None:
    keys = [a_key(profile, rocs={77: 5}) for profile in Profile]
    questions = []
    for key in keys:
        cipher, authentication = CIPHERS[key.profile]
        terms = f"srtp-cipher={cipher},srtp-auth={authentication},srtcp-cipher={cipher},srtcp-auth={authentication}"
        secret = f"srtp-key=(buffer){(key.key + key.salt).hex()}"
        questions.append({"make": f"application/x-srtp,ssrc=(uint)77,roc=(uint)5,{secret},{terms}"})
    assert [mikey.parse(base64.b64decode(str(answer))) for answer in ask(*questions)] == keys


def test_wireshark_reads_ours(tmp_path: Path) -> None:
    if shutil.which("tshark") is None or shutil.which("text2pcap") is None:
        pytest.skip("tshark is not installed")
    key = a_key(Profile.AEAD_AES_256_GCM, b"mki", {0x0A0B0C0D: 9})
    data = mikey.serialize(key, NTP)
    dump, capture = tmp_path / "dump", tmp_path / "mikey.pcap"
    dump.write_text("0000 " + data.hex(" ") + "\n")
    subprocess.run(["text2pcap", "-q", "-u", "2269,2269", dump, capture], check=True, capture_output=True, timeout=30)
    expected = {
        "mikey.type": "0",
        "mikey.cs_count": "1",
        "mikey.srtp_id.ssrc": "0x0a0b0c0d",
        "mikey.srtp_id.roc": "0x00000009",
        "mikey.rand.data": data[31:47].hex(),
        "mikey.sp.encr_len": "32",
        "mikey.sp.salt_len": "12",
        "mikey.sp.srtp_encr": "1",
        "mikey.kemac.encr_alg": "0",
        "mikey.key.data": (key.key + key.salt).hex(),
        "mikey.key.kv.spi": b"mki".hex(),
        "_ws.malformed": "",
    }
    command = ["tshark", "-n", "-r", capture, "-T", "fields", *(part for name in expected for part in ("-e", name))]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert dict(zip(expected, result.stdout.rstrip("\n").split("\t"), strict=True)) == expected
