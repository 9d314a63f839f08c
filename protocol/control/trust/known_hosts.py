"""Hosts that were trusted before, in a text file a line each: `host:port fingerprint`, or `host:port ca` where an
authority vouched for the certificate. Lines are only added; the last one counts."""

from __future__ import annotations

import ipaddress
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from protocol.control.trust.fingerprint import read_fingerprint
from protocol.control.trust.folder import configuration_folder
from protocol.errors import ResourceError, UsageError

FILE = "known_hosts"
AUTHORITY = "ca"


@dataclass(frozen=True, slots=True)
class Known:
    """What a host showed before."""

    fingerprint: str | None
    """None: a certificate that an authority vouched for."""


class KnownHosts:
    """The file is read anew each time: several programs share it, and people edit it."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or configuration_folder() / FILE

    def find(self, host: str, port: int) -> Known | None:
        """None for a host that was never trusted on this port. Raises ResourceError where the file cannot be read:
        nobody is taken for a stranger because of that."""
        wanted, found = name(host, port), None
        for number, line in enumerate(self._lines(), 1):
            words = line.split()
            if words and not words[0].startswith("#") and words[0] == wanted:
                found = self._read(words, number)
        return found

    def trusted_before(self, host: str, port: int) -> bool:
        """Whether it ever was: who goes on without encryption then has been deceived. Raises ResourceError."""
        return self.find(host, port) is not None

    def remember(self, host: str, port: int, fingerprint: str | None) -> None:
        """From now on this host shows that certificate; None: one that an authority vouches for.
        Raises ResourceError."""
        line = f"{name(host, port)} {fingerprint or AUTHORITY}\n"
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(file, line.encode())
            finally:
                os.close(file)
        except OSError as error:
            raise ResourceError(f"cannot keep known hosts in {self.path}: {error.strerror}") from error

    def _lines(self) -> list[str]:
        try:
            if os.name == "posix" and self.path.stat().st_mode & stat.S_IWOTH:
                raise ResourceError(f"others can change the known hosts in {self.path}: chmod 600 {self.path}")
            return self.path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is no text"
            raise ResourceError(f"cannot read the known hosts in {self.path}: {why}") from error

    def _read(self, words: list[str], number: int) -> Known:
        try:
            if len(words) == 2:
                return Known(None if words[1] == AUTHORITY else read_fingerprint(words[1]))
        except UsageError:
            pass
        raise ResourceError(f"line {number} of {self.path} says what cannot be understood: correct or delete it")


def name(host: str, port: int) -> str:
    """`host:port`, written in one way."""
    address, _, zone = host.partition("%")
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return f"{host.lower().rstrip('.')}:{port}"
    text = f"{found}%{zone}" if zone else str(found)
    return f"[{text}]:{port}" if found.version == 6 else f"{text}:{port}"
