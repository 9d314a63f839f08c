"""`--key-file`: read when it is given, so that nobody else waits for the libraries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from protocol.key_file import KeyFile


def key_file(text: str) -> KeyFile:
    """What the file holds. Raises UsageError."""
    from protocol.key_file import read

    return read(text)


def warnings(keys: KeyFile, *, receives: bool) -> Iterator[str]:
    """Lines about what is not as good as it could be."""
    from protocol.key_file import readable_by_others

    if readable_by_others(keys.name):
        yield f"others on this machine can read {keys.name}: chmod 600 {keys.name}"
    if receives and keys.silent_receiver:
        yield f"{keys.name} has no key for reports: senders hear nothing from here, and repair nothing"
