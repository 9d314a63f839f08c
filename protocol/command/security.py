"""The options about trust that both programs have: who may come in here, and who is taken for real there.

What reads certificates is imported when one is needed: it takes a tenth of a second.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from protocol.command.options import Option
from protocol.control.trust.fingerprint import read_fingerprint
from protocol.control.trust.passwords import own_password, read_users
from protocol.rtsp.digest import Challenger

if TYPE_CHECKING:
    from protocol.control.trust.secure import Trust

REALM = "Steadycast"


@dataclass(frozen=True, slots=True)
class Security:
    """What was given."""

    users: Mapping[str, str] | None = None
    """passwords by name, of those who may come in; None: everybody."""
    cert: str | None = None
    key: str | None = None
    ca: str | None = None
    fingerprint: str | None = None
    password_file: str | None = None

    def guard(self) -> Challenger | None:
        """Who asks those who come in; None: nobody does."""
        return None if self.users is None else Challenger(REALM, self.users)

    def own(self) -> tuple[ssl.SSLContext, str]:
        """For those who come in with TLS, and the fingerprint they see. Raises UsageError or ResourceError."""
        from protocol.control.trust.certificate import identity
        from protocol.control.trust.context import server_context

        shown = identity(self.cert, self.key)
        return server_context(shown), shown.fingerprint

    def trust(self) -> Trust:
        """Whom we take for real. Raises ResourceError."""
        from protocol.control.trust.secure import Trust

        return Trust(fingerprint=self.fingerprint, authority=self.ca)

    def password(self) -> Callable[[str, str], str]:
        """(user, place) → ours."""
        return lambda user, place: own_password(user, place, file=self.password_file)


def listening_options() -> tuple[Option, ...]:
    """For those who come in."""
    return (
        Option("users", "let only those in whose names and passwords are in this file, a line USER:PASSWORD each",
               "FILE", read_users),
        Option("cert", "show this certificate (PEM) in TLS; default: one of our own, made on first start", "FILE"),
        Option("key", "its key, where that is another file", "FILE"),
    )  # fmt: skip


def connecting_options() -> tuple[Option, ...]:
    """For those we connect to."""
    return (
        Option("ca", "take only a certificate that the authority in this file (PEM) vouches for", "FILE"),
        Option("fingerprint", "take only the certificate with this SHA-256 fingerprint", "HEX", read_fingerprint),
        Option("password-file", "our password is the first line of this file", "FILE"),
    )  # fmt: skip


def security(values: Mapping[str, object]) -> Security:
    """Of the values that were given."""
    fields = {name: values[name] for name in Security.__dataclass_fields__ if name in values}
    return Security(**fields)  # type: ignore[arg-type]
