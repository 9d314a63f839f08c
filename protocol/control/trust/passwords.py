"""Passwords, of those who may come in and of ours: from files, the environment or the keyboard, never from options."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from protocol.control.trust.folder import check_private
from protocol.errors import UsageError

VARIABLE = "STEADYCAST_PASSWORD"
VISIBLE = "a password in an address is visible to every user of this machine: better give --password-file FILE"
"""said once where there is one."""
_LONGEST = 65_536


def read_users(path: str) -> dict[str, str]:
    """A file with lines `user:password`; blank ones and those that begin with # do not count.

    Raises UsageError, and ResourceError where others can read it.
    """
    users: dict[str, str] = {}
    for number, line in enumerate(_read(path).splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        user, colon, password = line.partition(":")
        if not colon or not user or not password:
            raise UsageError(f"line {number} of {path} is not USER:PASSWORD")
        if user in users:
            raise UsageError(f"line {number} of {path} has {user} again")
        users[user] = password
    if not users:
        raise UsageError(f"there is nobody in {path}: write a line USER:PASSWORD for each")
    return users


def read_password(path: str) -> str:
    """The first line of a file. Raises UsageError, and ResourceError where others can read it."""
    password = _read(path, "--password-file: ").partition("\n")[0].rstrip("\r")
    if not password:
        raise UsageError(f"--password-file: {path} is empty: its first line should be the password")
    return password


def own_password(
    user: str, place: str, *, file: str | None = None, environ: Mapping[str, str] = os.environ, ask: bool = True
) -> str:
    """From the file, the environment, or the keyboard where somebody sits there. Raises UsageError."""
    if file is not None:
        return read_password(file)
    if environ.get(VARIABLE):
        return environ[VARIABLE]
    if ask and sys.stdin is not None and sys.stdin.isatty():
        try:
            return getpass.getpass(f"password of {user} at {place}: ")
        except EOFError:
            pass
    raise UsageError(f"{place} wants the password of {user}: give --password-file FILE, or set {VARIABLE}")


def _read(path: str, option: str = "") -> str:
    """`option`: what an error begins with, where nobody else puts it there."""
    try:
        check_private(Path(path), "passwords")
        with open(path, encoding="utf-8") as file:
            return file.read(_LONGEST)
    except OSError as error:
        raise UsageError(f"{option}cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise UsageError(f"{option}{path} is no text") from None
