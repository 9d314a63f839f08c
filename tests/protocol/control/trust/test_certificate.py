"""Our certificate as openssl sees it, and the files nobody else may read."""

from __future__ import annotations

import datetime
import re
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from protocol.control.trust.certificate import identity, make
from protocol.control.trust.folder import configuration_folder, write_private
from protocol.errors import ResourceError, UsageError
from tests.support import certificates, peers

YEAR_2000 = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)


def openssl(*words: object) -> str:
    peers.need("openssl")
    command = ["openssl", *map(str, words)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout


def test_it_is_what_it_should_be(tmp_path: Path) -> None:
    own = identity(folder=tmp_path / "new" / "folder")
    assert own.made
    text = openssl("x509", "-in", own.certificate, "-noout", "-text")
    assert "ASN1 OID: prime256v1" in text
    assert "Signature Algorithm: ecdsa-with-SHA256" in text
    names = openssl("x509", "-in", own.certificate, "-noout", "-ext", "subjectAltName")
    assert "DNS:localhost" in names
    assert "IP Address:127.0.0.1" in names
    end = openssl("x509", "-in", own.certificate, "-noout", "-enddate").strip().partition("=")[2]
    left = datetime.datetime.strptime(end, "%b %d %H:%M:%S %Y GMT") - datetime.datetime.now()
    assert 3648 <= left.days <= 3652
    assert certificates.Pair(own.certificate, own.key).fingerprint == own.fingerprint


def test_openssl_takes_it_for_this_host_when_told_to_trust_it(tmp_path: Path) -> None:
    own = identity(folder=tmp_path)
    for who in (("-verify_hostname", "localhost"), ("-verify_ip", "127.0.0.1")):
        assert "OK" in openssl("verify", "-CAfile", own.certificate, "-purpose", "sslserver", *who, own.certificate)
    key = openssl("pkey", "-in", own.key, "-pubout")
    assert openssl("x509", "-in", own.certificate, "-noout", "-pubkey") == key


def test_it_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    first, second = identity(folder=folder), identity(folder=folder)
    assert (first.made, second.made) == (True, False)
    assert first.fingerprint == second.fingerprint
    assert stat.S_IMODE(first.key.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [path.name for path in folder.iterdir()] == ["identity.pem"]


def test_programs_that_start_together_have_one(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: identity(folder=tmp_path), range(8)))
    assert len({each.fingerprint for each in found}) == 1
    assert sum(each.made for each in found) == 1


def test_a_key_that_others_can_read_will_not_do(tmp_path: Path) -> None:
    own = identity(folder=tmp_path)
    own.key.chmod(0o644)
    with pytest.raises(ResourceError, match=r"^others can read or change the key in .*: chmod 600 .*identity\.pem$"):
        identity(folder=tmp_path)


def test_one_that_is_given(tmp_path: Path) -> None:
    pair = certificates.self_signed(tmp_path)
    assert identity(str(pair.certificate), str(pair.key)).fingerprint == pair.fingerprint
    with pytest.raises(UsageError, match="--key belongs to --cert"):
        identity(None, str(pair.key))
    with pytest.raises(UsageError, match=r"^--cert: cannot read .*nowhere\.pem: No such file"):
        identity(str(tmp_path / "nowhere.pem"), str(pair.key))
    with pytest.raises(UsageError, match=r"^--key: cannot read .*nowhere\.key: No such file"):
        identity(str(pair.certificate), str(tmp_path / "nowhere.key"))
    with pytest.raises(ResourceError, match="there is no PEM certificate in"):
        identity(str(pair.key), str(pair.key))


def test_one_that_has_expired(tmp_path: Path) -> None:
    pair = certificates.self_signed(tmp_path, days=-1)
    with pytest.raises(ResourceError, match=r"^the certificate in .* expired on \d{4}-\d\d-\d\d: renew it"):
        identity(str(pair.certificate), str(pair.key))
    (tmp_path / "identity.pem").write_bytes(make(["old"], [], YEAR_2000))
    (tmp_path / "identity.pem").chmod(0o600)
    with pytest.raises(ResourceError, match="expired on 2009-12-29"):
        identity(folder=tmp_path)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match=r"cannot keep a certificate in .*: Not a directory; give one with --cert"):
        identity(folder=tmp_path / "file" / "folder")


def test_names_that_no_certificate_can_hold_whole() -> None:
    name = ".".join(["a" * 60] * 3)
    text = subprocess.run(
        ["openssl", "x509", "-noout", "-subject", "-ext", "subjectAltName"],
        input=make([name], []), check=True, capture_output=True, timeout=10,
    ).stdout.decode()  # fmt: skip
    assert f"DNS:{name}" in text
    assert re.search(r"subject=CN = a{60}\.a{3}\n", text)


def test_where_files_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    assert configuration_folder({"XDG_CONFIG_HOME": "/some/where"}) == Path("/some/where/steadycast")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert configuration_folder({}) == configuration_folder({"XDG_CONFIG_HOME": "relative"})
    assert configuration_folder({}) == Path("/home/somebody/.config/steadycast")


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert write_private(path, b"first")
    assert not write_private(path, b"second")
    assert path.read_bytes() == b"first"
    assert write_private(path, b"third", replace=True)
    assert path.read_bytes() == b"third"
    assert list(tmp_path.iterdir()) == [path]
