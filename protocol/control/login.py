"""Answers to a server that asks who we are (RFC 7616): one user's, at one server."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from protocol.rtsp import digest


class Login:
    """Keeps what the server asked, so that later requests come with the answer at once."""

    def __init__(self, user: str, password: str, *, tls: bool) -> None:
        """`tls`: the password may be sent as it is to a server that takes it no other way."""
        self._user = user
        self._password = password
        self._tls = tls
        self._challenges: Sequence[str] = ()
        self._nonce = ""
        self._count = 0

    def handle_challenge(self, challenges: Sequence[str]) -> None:
        """The values of WWW-Authenticate. Raises Unsupported where none can be answered."""
        nonce = digest.strongest(challenges, allow_basic=self._tls).get("nonce")
        if nonce != self._nonce:
            self._nonce, self._count = nonce, 0
        self._challenges = challenges

    def authorization(self, method: str, uri: str) -> str | None:
        """For the next request; None as long as nothing was asked."""
        if not self._challenges:
            return None
        self._count += 1
        cnonce = secrets.token_hex(8)
        return digest.answer(
            self._challenges, self._user, self._password, method, uri, cnonce, self._count, allow_basic=self._tls
        )
