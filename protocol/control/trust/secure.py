"""Opening a TLS connection to somebody who is known: by an authority, by a fingerprint, or from before."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509

from protocol.control.connect import connect
from protocol.control.connection import Connection, Handler
from protocol.control.trust import known_hosts
from protocol.control.trust.context import pinning_context, verifying_context
from protocol.control.trust.fingerprint import fingerprint
from protocol.control.trust.known_hosts import Known, KnownHosts
from protocol.errors import NoPeerError, ResourceError, Untrusted
from protocol.rtsp.message import Message

_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL", "UNEXPECTED_MESSAGE")
_TOO_OLD = ("UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "NO_PROTOCOLS_AVAILABLE")


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom to take for real."""

    known_hosts: KnownHosts = field(default_factory=KnownHosts)
    fingerprint: str | None = None
    """the only certificate that will do (--fingerprint)."""
    authority: str | None = None
    """file of the only authority that will do (--ca)."""


async def connect_securely(
    host: str,
    port: int,
    handler_of: Callable[[Connection], Handler],
    trust: Trust,
    say: Callable[[str], None],
    **how: Any,
) -> Connection:
    """`connect` with TLS, and no byte of ours before it is certain whom it reaches. `say` gets what a person should
    know; `how` goes on to `connect`.

    With --ca or --fingerprint only that counts. Otherwise a host that is known has to show what it showed before, or
    what an authority vouches for; a new one is trusted once, as nothing tells more, and known from then on.

    Raises Untrusted, and what `connect` does; NoPeerError also where no TLS is spoken.
    """
    dialling = _Dialling(host, port, handler_of, trust, say, how)
    if trust.fingerprint is not None:
        return await dialling.as_asked(trust.fingerprint)
    if trust.authority is not None:
        return await dialling.as_vouched_for()
    known = trust.known_hosts.find(host, port)
    if known is None:
        return await dialling.for_the_first_time()
    return await dialling.again(known)


@dataclass(frozen=True, slots=True)
class _Dialling:
    host: str
    port: int
    handler_of: Callable[[Connection], Handler]
    trust: Trust
    say: Callable[[str], None]
    how: dict[str, Any]

    @property
    def _place(self) -> str:
        return known_hosts.name(self.host, self.port)

    async def as_asked(self, wanted: str) -> Connection:
        connection, shown = await self._pinned(lambda _, shown: shown == wanted)
        if connection is None:
            raise Untrusted(f"{self._place} shows another certificate than --fingerprint says: {shown}")
        self._remember(shown)
        return connection

    async def as_vouched_for(self) -> Connection:
        try:
            connection = await self._verified()
        except ssl.SSLCertVerificationError as error:
            raise Untrusted(f"--ca: {self._place} shows a certificate that will not do: {_reason(error)}") from error
        self._remember(None)
        return connection

    async def for_the_first_time(self) -> Connection:
        try:
            connection = await self._verified()
            self._remember(None)
            return connection
        except ssl.SSLCertVerificationError:
            pass  # self-signed, as ours are, or of an authority nobody knows here
        pinned, shown = await self._pinned(self._is_valid)
        assert pinned is not None
        self._remember(shown)
        self.say(f"{self._place} is new here and trusted from now on, by its fingerprint {shown}")
        return pinned

    async def again(self, known: Known) -> Connection:
        shown = ""
        if known.fingerprint is not None:
            pinned, shown = await self._pinned(
                lambda certificate, shown: shown == known.fingerprint and self._is_valid(certificate, shown)
            )
            if pinned is not None:
                return pinned
        try:
            connection = await self._verified()
        except ssl.SSLCertVerificationError as error:
            raise self._changed(known, shown, error) from error
        if known.fingerprint is not None:
            self._remember(None)
            self.say(f"{self._place} has a new certificate, and an authority vouches for it")
        return connection

    async def _verified(self) -> Connection:
        return await self._connect(self.handler_of, verifying_context(self.trust.authority))

    async def _pinned(self, will_do: Callable[[bytes, str], bool]) -> tuple[Connection | None, str]:
        """A connection to whoever shows a certificate that will do, None where it will not; and its fingerprint."""
        shown, refused = "", False
        why: Untrusted | None = None

        def handler_of(connection: Connection) -> Handler:
            nonlocal shown, refused, why
            certificate = connection.certificate() or b""
            shown = fingerprint(certificate)
            try:
                refused = not will_do(certificate, shown)
            except Untrusted as error:
                refused, why = True, error
            if not refused:
                return self.handler_of(connection)
            connection.abort("it is not trusted")
            return _Nobody()

        connection = await self._connect(handler_of, pinning_context())
        if why is not None:
            raise why
        return (None if refused else connection), shown

    async def _connect(self, handler_of: Callable[[Connection], Handler], tls: ssl.SSLContext) -> Connection:
        try:
            return await connect(self.host, self.port, handler_of, tls=tls, **self.how)
        except ssl.SSLCertVerificationError:
            raise
        except ssl.SSLError as error:
            raise self._explained(error) from error

    def _explained(self, error: ssl.SSLError) -> NoPeerError | ResourceError:
        if isinstance(error, ssl.SSLEOFError) or error.reason in _NO_TLS:
            return NoPeerError(f"{self._place} speaks no TLS: without encryption it would be rtsp://")
        if error.reason in _TOO_OLD:
            return ResourceError(f"{self._place} speaks no TLS newer than 1.1, which protects nothing any more")
        return ResourceError(f"no TLS with {self._place}: {str(error.reason or error).lower().replace('_', ' ')}")

    def _is_valid(self, certificate: bytes, shown: str) -> bool:
        """Whether the certificate holds now. Raises Untrusted."""
        try:
            found = x509.load_der_x509_certificate(certificate)
            begin, end = found.not_valid_before_utc, found.not_valid_after_utc
        except ValueError:
            raise Untrusted(f"{self._place} shows a certificate that cannot be read") from None
        now = datetime.datetime.now(datetime.UTC)
        if begin <= now <= end:
            return True
        told = f"expired on {end:%Y-%m-%d}" if now > end else f"holds from {begin:%Y-%m-%d} on: are the clocks right?"
        raise Untrusted(
            f"the certificate of {self._place} {told}; have it renewed there, or accept it: --fingerprint {shown}"
        )

    def _changed(self, known: Known, shown: str, error: ssl.SSLCertVerificationError) -> Untrusted:
        file = self.trust.known_hosts.path
        if known.fingerprint is None:
            return Untrusted(
                f"no authority vouches for {self._place} any more ({_reason(error)}): somebody may be in between;"
                f" if you know why, delete its line in {file}"
            )
        return Untrusted(
            f"{self._place} shows another certificate than before: somebody may be in between; if you know that it has"
            f" a new one ({shown}), delete its line in {file}"
        )

    def _remember(self, shown: str | None) -> None:
        """Unless that is known."""
        known = self.trust.known_hosts
        if known.find(self.host, self.port) != Known(shown):
            known.remember(self.host, self.port, shown)


class _Nobody:
    """Hears nothing of a connection that is not trusted."""

    def received(self, connection: Connection, message: Message) -> None:
        pass

    def lost(self, connection: Connection, why: str) -> None:
        pass


def _reason(error: ssl.SSLCertVerificationError) -> str:
    return error.verify_message or str(error)
