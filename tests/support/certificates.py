"""Certificates for the tests, made by openssl: self-signed, signed by a CA of the test's own, expired."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support import peers


@dataclass(frozen=True, slots=True)
class Pair:
    certificate: Path
    key: Path

    @property
    def fingerprint(self) -> str:
        """SHA-256, as openssl writes it."""
        command = ["openssl", "x509", "-in", self.certificate, "-noout", "-fingerprint", "-sha256"]
        return _run(*command).strip().partition("=")[2]


def self_signed(folder: Path, name: str = "self", names: str = "DNS:localhost,IP:127.0.0.1", days: int = 30) -> Pair:
    """`days` below 0: it has expired."""
    authority = _request(folder, name, names)
    return _signed(folder, name, names, days, authority, authority)


def authority(folder: Path, name: str = "authority") -> Pair:
    """A CA."""
    peers.need("openssl")
    pair = Pair(folder / f"{name}.pem", folder / f"{name}.key")
    _run(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-keyout", pair.key, "-out", pair.certificate, "-subj", f"/CN=Test {name}", "-days", "30",
        "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
    )  # fmt: skip
    return pair


def signed(
    folder: Path, by: Pair, name: str = "signed", names: str = "DNS:localhost,IP:127.0.0.1", days: int = 30
) -> Pair:
    """A server's, signed by a CA."""
    return _signed(folder, name, names, days, by, _request(folder, name, names))


def _request(folder: Path, name: str, names: str) -> Pair:
    """A key and a self-signed certificate that holds now."""
    peers.need("openssl")
    pair = Pair(folder / f"{name}.pem", folder / f"{name}.key")
    _run(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-keyout", pair.key, "-out", pair.certificate, "-subj", f"/CN={name}", "-days", "30",
        "-addext", f"subjectAltName={names}",
    )  # fmt: skip
    return pair


def _signed(folder: Path, name: str, names: str, days: int, by: Pair, pair: Pair) -> Pair:
    extensions = folder / f"{name}.ext"
    extensions.write_text(f"subjectAltName={names}\n")
    request = folder / f"{name}.csr"
    _run("openssl", "req", "-new", "-key", pair.key, "-subj", f"/CN={name}", "-out", request)
    sign = ["-signkey", pair.key] if by is pair else ["-CA", by.certificate, "-CAkey", by.key, "-CAcreateserial"]
    _run(
        "openssl", "x509", "-req", "-in", request, *sign, "-out", pair.certificate, "-days", days,
        "-extfile", extensions,
    )  # fmt: skip
    return pair


def _run(*command: object) -> str:
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True, timeout=10).stdout
