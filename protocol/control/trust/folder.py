"""Where a user's own files are kept, and files nobody else may read."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

from protocol.errors import ResourceError

_OTHERS = stat.S_IRWXO | stat.S_IWGRP


def configuration_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """$XDG_CONFIG_HOME/steadycast, usually ~/.config/steadycast. Raises ResourceError for a user without a home."""
    base = environ.get("XDG_CONFIG_HOME", "")
    if base and Path(base).is_absolute():
        return Path(base) / "steadycast"
    try:
        return Path.home() / ".config" / "steadycast"
    except RuntimeError:
        raise ResourceError("this user has no home folder: set XDG_CONFIG_HOME to a folder that is kept") from None


def write_private(path: Path, data: bytes, *, replace: bool = False) -> bool:
    """Write a file that only its owner may read: all of it, or nothing. False when it is there already and is not to
    be replaced. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # with mode 0600
    try:
        with os.fdopen(number, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            os.replace(name, path)
            return True
        os.link(name, path)  # fails when somebody else was faster
        return True
    except FileExistsError:
        return False
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def check_private(path: Path, what: str) -> None:
    """Raises ResourceError when every user of this machine may read a secret, or others may change it; OSError when
    it is not there."""
    mode = path.stat().st_mode
    if os.name == "posix" and mode & _OTHERS:
        raise ResourceError(f"others can read or change {what} in {path}: chmod 600 {path}")
