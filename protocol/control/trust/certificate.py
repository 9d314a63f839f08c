"""This machine's certificate: one that is given, or one made on first start and kept."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from protocol.control.machine import addresses, host_names
from protocol.control.trust.fingerprint import fingerprint
from protocol.control.trust.folder import check_private, configuration_folder, write_private
from protocol.errors import ResourceError, UsageError

FILE = "identity.pem"
"""the key and the certificate, in one file so that they always belong together."""
_YEARS = 10
_DAY = datetime.timedelta(days=1)
_LONGEST_NAME = 64
"""RFC 5280 appendix A: ub-common-name."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate with its key: PEM files, which may be one and the same."""

    certificate: Path
    key: Path
    fingerprint: str
    made: bool = False
    """made here, just now."""


def identity(certificate: str | None = None, key: str | None = None, folder: Path | None = None) -> Identity:
    """The one that is given (--cert, --key), else our own, which is made when there is none.

    Raises UsageError or ResourceError.
    """
    if key is not None and certificate is None:
        raise UsageError("--key belongs to --cert: give that too")
    if certificate is not None:
        return _given(Path(certificate), Path(key or certificate))
    path = (folder or configuration_folder()) / FILE
    try:
        made = not path.exists() and write_private(path, make(host_names(), addresses()))
        check_private(path, "the key")
        return Identity(path, path, _fingerprint(path), made)
    except OSError as error:
        raise ResourceError(f"cannot keep a certificate in {path}: {error.strerror}; give one with --cert") from error


def make(names: Sequence[str], addresses: Sequence[str], now: datetime.datetime | None = None) -> bytes:
    """A new key and a certificate for it, self-signed, good for ten years: PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    moment = now or datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, (names or ["steadycast"])[0][:_LONGEST_NAME])])
    alternatives = [
        *map(x509.DNSName, names),
        *(x509.IPAddress(ipaddress.ip_address(address)) for address in addresses),
    ]
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - _DAY)  # clocks differ
        .not_valid_after(moment + _YEARS * 365 * _DAY)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
    )
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _key_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _given(certificate: Path, key: Path) -> Identity:
    try:
        check_private(key, "the key")
        return Identity(certificate, key, _fingerprint(certificate))
    except OSError as error:
        option = "--key" if error.filename == str(key) and key != certificate else "--cert"
        raise UsageError(f"{option}: cannot read {error.filename}: {error.strerror}") from error


def _fingerprint(path: Path) -> str:
    """Of the first certificate in a PEM file. Raises OSError, ResourceError."""
    try:
        found = x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError:
        raise ResourceError(f"there is no PEM certificate in {path}: give another with --cert, or delete it") from None
    if found.not_valid_after_utc < datetime.datetime.now(datetime.UTC):
        raise ResourceError(
            f"the certificate in {path} expired on {found.not_valid_after_utc:%Y-%m-%d}: renew it, or delete the file"
            " to have a new one made"
        )
    return fingerprint(found.public_bytes(serialization.Encoding.DER))
