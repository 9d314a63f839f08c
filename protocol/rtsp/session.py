"""The Session header (RFC 2326 §12.37)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from protocol.errors import Malformed

DEFAULT_TIMEOUT = 60
"""seconds."""
_IDENTIFIER = re.compile("[!-:<-~]{1,256}")
_SECONDS = re.compile("[0-9]{1,6}")


@dataclass(frozen=True, slots=True)
class Session:
    """What a session is called, and how long its server waits for a sign of life."""

    identifier: str
    timeout: int = DEFAULT_TIMEOUT
    """seconds."""


def parse(text: str) -> Session:
    """Takes more characters than §3.4 has, since servers use them. Raises Malformed."""
    identifier, *words = map(str.strip, text.split(";"))
    if not _IDENTIFIER.fullmatch(identifier):
        raise Malformed("rtsp_session", f"{identifier[:40]!r} names no session")
    return Session(identifier, next(filter(None, map(_timeout, words)), DEFAULT_TIMEOUT))


def serialize(session: Session) -> str:
    """As a server writes it; a client writes the identifier alone."""
    return f"{session.identifier};timeout={session.timeout}"


def _timeout(word: str) -> int:
    """0 for what says none."""
    name, _, value = map(str.strip, word.partition("="))
    return int(value) if name.lower() == "timeout" and _SECONDS.fullmatch(value) else 0
