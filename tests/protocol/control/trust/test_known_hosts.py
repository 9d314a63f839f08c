"""The file of hosts that were trusted before, and fingerprints as people write them."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from protocol.control.trust.fingerprint import fingerprint, read_fingerprint
from protocol.control.trust.known_hosts import Known, KnownHosts, name
from protocol.errors import ResourceError, UsageError

EMPTY = "E3:B0:C4:42:98:FC:1C:14:9A:FB:F4:C8:99:6F:B9:24:27:AE:41:E4:64:9B:93:4C:A4:95:99:1B:78:52:B8:55"
"""SHA-256 of nothing, FIPS 180-4."""
OTHER = ":".join(["AB"] * 32)


def test_nobody_is_known_at_first(tmp_path: Path) -> None:
    known = KnownHosts(tmp_path / "folder" / "known_hosts")
    assert known.find("host", 322) is None
    assert not known.trusted_before("host", 322)


def test_who_was_trusted_stays_known(tmp_path: Path) -> None:
    known = KnownHosts(tmp_path / "folder" / "known_hosts")
    known.remember("Host.example.", 322, EMPTY)
    known.remember("2001:db8:0::7", 8554, None)
    again = KnownHosts(known.path)
    assert again.find("host.EXAMPLE", 322) == Known(EMPTY)
    assert again.find("2001:db8::7", 8554) == Known(None)
    assert again.trusted_before("host.example", 322)
    assert not again.trusted_before("host.example", 323)
    assert known.path.read_text() == f"host.example:322 {EMPTY}\n[2001:db8::7]:8554 ca\n"
    assert stat.S_IMODE(known.path.stat().st_mode) == 0o600


def test_the_last_line_counts(tmp_path: Path) -> None:
    known = KnownHosts(tmp_path / "known_hosts")
    known.remember("host", 322, EMPTY)
    known.remember("host", 322, OTHER)
    assert known.find("host", 322) == Known(OTHER)


def test_people_may_write_it(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    path.write_text(f"# mine\n\nother:1 nonsense\nhost:322   {EMPTY.replace(':', '').lower()}\n")
    assert KnownHosts(path).find("host", 322) == Known(EMPTY)
    assert KnownHosts(path).find("# mine", 322) is None


@pytest.mark.parametrize("line", ["host:322", "host:322 nonsense", f"host:322 {EMPTY} more", f"host:322 {EMPTY[:-1]}"])
def test_what_cannot_be_understood_does_not_make_a_stranger(tmp_path: Path, line: str) -> None:
    path = tmp_path / "known_hosts"
    path.write_text(f"one:1 ca\n{line}\n")
    with pytest.raises(ResourceError, match=r"^line 2 of .* says what cannot be understood: correct or delete it$"):
        KnownHosts(path).trusted_before("host", 322)


def test_a_file_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match=r"cannot read the known hosts in .*: Is a directory"):
        KnownHosts(tmp_path).find("host", 322)
    path = tmp_path / "known_hosts"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ResourceError, match="it is no text"):
        KnownHosts(path).find("host", 322)
    path.write_text("")
    path.chmod(0o666)
    with pytest.raises(ResourceError, match=r"others can change the known hosts in .*: chmod 600"):
        KnownHosts(path).find("host", 322)
    with pytest.raises(ResourceError, match=r"cannot keep known hosts in .*: Not a directory"):
        KnownHosts(path / "below" / "it").remember("host", 322, None)


def test_addresses_are_written_in_one_way() -> None:
    assert name("FE80:0::1%eth0", 1) == "[fe80::1%eth0]:1"
    assert name("192.0.2.7", 322) == "192.0.2.7:322"


@pytest.mark.parametrize(
    "text",
    [
        EMPTY,
        EMPTY.lower(),
        EMPTY.replace(":", ""),
        f"sha256 Fingerprint={EMPTY}",
        f"SHA256 Fingerprint={EMPTY}\n",
        f"SHA256:{EMPTY}",
        f"SHA-256: {EMPTY}",
        EMPTY.replace(":", " "),
    ],
)
def test_fingerprints_as_people_paste_them(text: str) -> None:
    assert read_fingerprint(text) == EMPTY == fingerprint(b"")


@pytest.mark.parametrize("text", ["", EMPTY[:-3], EMPTY + ":00", "SHA1 Fingerprint=" + EMPTY, "x" * 64, "ca"])
def test_what_is_no_fingerprint(text: str) -> None:
    with pytest.raises(UsageError, match="is no SHA-256 fingerprint: write its 64 hexadecimal digits"):
        read_fingerprint(text)
