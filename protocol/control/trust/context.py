"""TLS as both programs speak it: 1.2 or newer."""

from __future__ import annotations

import ssl

from protocol.control.trust.certificate import Identity
from protocol.errors import ResourceError, UsageError


def server_context(identity: Identity) -> ssl.SSLContext:
    """For those who connect to us. Raises ResourceError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    try:
        context.load_cert_chain(identity.certificate, identity.key, password=_no_password)
    except ssl.SSLError as error:
        why = str(error.reason or error).lower().replace("_", " ")
        raise ResourceError(f"{identity.key} is no key for the certificate in {identity.certificate}: {why}") from error
    except OSError as error:
        raise ResourceError(f"cannot read {error.filename or identity.key}: {error.strerror}") from error
    return context


def verifying_context(authority: str | None = None) -> ssl.SSLContext:
    """For servers that an authority vouches for: the system's, or the one in this file (--ca). Raises UsageError."""
    try:
        context = ssl.create_default_context(cafile=authority)
    except ssl.SSLError as error:
        raise UsageError(f"--ca: there is no certificate in {authority}") from error
    except OSError as error:
        raise UsageError(f"--ca: cannot read {authority}: {error.strerror}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def pinning_context() -> ssl.SSLContext:
    """For servers that are known by their fingerprint, which whoever connects compares before anything else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _no_password() -> str:
    """OpenSSL would ask on the terminal, in the middle of everything."""
    raise ResourceError("the key needs a passphrase: give one without, that only you can read")
