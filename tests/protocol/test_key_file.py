from __future__ import annotations

import base64
import struct
from pathlib import Path

import pytest

from protocol import key_file
from protocol.datagram import Batch, Transmission
from protocol.errors import UsageError
from protocol.srtp.encryption import Encryption
from protocol.srtp.profile import Profile

PACKET = struct.pack("!BBHII", 0x80, 96, 1, 0, 1) + b"media"
REPORT = struct.pack("!BBHI", 0x80, 201, 1, 1)
CM = bytes(range(30))


def passed(datagram: bytes, there: Encryption, here: Encryption) -> list[bytes]:
    leaving = [one for each in there.seal(Transmission([datagram], "p"), 5) for one in each.datagrams]
    batch = here.open(Batch.of(leaving, 6, "p"), 6)
    return [batch.datagram(index) for index in range(len(batch))]


@pytest.mark.parametrize(
    "text", ["0123456789abcdef", "a passphrase with spaces\n", base64.b64encode(bytes(32)).decode()]
)
def test_a_secret(text: str) -> None:
    told = key_file.parse(text.encode(), "key")
    sender, receiver = told.sender(now=0, wall=0), told.receiver(now=0, wall=0)
    assert passed(PACKET, sender, receiver) == [PACKET]
    assert passed(REPORT, receiver, sender) == [REPORT]
    assert not told.silent_receiver
    assert sender.overhead == 20


def test_line_ends_are_no_part_of_a_secret() -> None:
    forms = [b"the same passphrase", b"the same passphrase\n", b"  the same passphrase\r\n"]
    assert len({key_file.parse(form, "key").secret for form in forms}) == 1


@pytest.mark.parametrize(
    ("suite", "profile"),
    [
        ("AES_CM_128_HMAC_SHA1_80", Profile.AES_CM_128_HMAC_SHA1_80),
        ("SRTP_AES128_CM_HMAC_SHA1_80", Profile.AES_CM_128_HMAC_SHA1_80),
        ("aes-128-icm", Profile.AES_CM_128_HMAC_SHA1_80),
        ("AEAD_AES_128_GCM", Profile.AEAD_AES_128_GCM),
        ("aes-128-gcm", Profile.AEAD_AES_128_GCM),
        ("AEAD_AES_256_GCM", Profile.AEAD_AES_256_GCM),
        ("aes-256-gcm", Profile.AEAD_AES_256_GCM),
    ],
)
def test_keys_of_other_programs(suite: str, profile: Profile) -> None:
    octets = bytes(range(profile.key_length + profile.salt_length))
    for text in (octets.hex(), octets.hex().upper(), base64.b64encode(octets).decode()):
        told = key_file.parse(f"{suite} {text}\n".encode(), "key")
        assert told.media is not None
        assert (told.media.profile, told.media.key + told.media.salt) == (profile, octets)
        assert told.silent_receiver
        sender, receiver = told.sender(now=0, wall=0), told.receiver(now=0, wall=0)
        assert passed(PACKET, sender, receiver) == [PACKET]
        assert passed(REPORT, receiver, sender) == [], "one direction has one key"


def test_a_key_for_reports() -> None:
    told = key_file.parse(f"aes-128-icm {CM.hex()}\n\naes-128-icm {CM[::-1].hex()}\n".encode(), "key")
    sender, receiver = told.sender(now=0, wall=0), told.receiver(now=0, wall=0)
    assert passed(PACKET, sender, receiver) == [PACKET]
    assert passed(REPORT, receiver, sender) == [REPORT]
    assert not told.silent_receiver


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "0 octets"),
        ("too short", "9 octets where a secret needs 16"),
        ("aes-128-icm 00ff", "30 octets"),
        (f"aes-128-icm {CM.hex()[:-2]}zz", "30 octets"),
        (f"aes-128-icm {CM.hex()} more", "a suite and a key on each line"),
        (f"aes-128-icm {CM.hex()}\naes-999 {CM.hex()}", "a suite and a key on each line"),
        (f"aes-128-icm {CM.hex()}\naes-128-icm {CM.hex()}", "the same key twice"),
        (f"aes-128-icm {CM.hex()}\n" * 3, "3 keys"),
    ],
)
def test_files_that_will_not_do(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as raised:
        key_file.parse(text.encode(), "my.key")
    assert "my.key" in str(raised.value)
    assert CM.hex()[:8] not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_reading(tmp_path: Path) -> None:
    file = tmp_path / "key"
    with pytest.raises(UsageError, match=r"cannot read the key file .*: No such file or directory"):
        key_file.read(str(file))
    with pytest.raises(UsageError, match="Is a directory"):
        key_file.read(str(tmp_path))
    file.write_text("0123456789abcdef")
    assert key_file.read(str(file)).secret is not None
    for mode, others in ((0o600, False), (0o640, True), (0o604, True)):
        file.chmod(mode)
        assert key_file.readable_by_others(str(file)) is others
    file.write_bytes(bytes(70_000))
    with pytest.raises(UsageError, match="too large"):
        key_file.read(str(file))
