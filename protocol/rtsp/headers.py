"""The header fields of a message (RFC 2326 §12)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Headers:
    """Fields in their order; names compare without case, and one may be there more than once."""

    fields: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, *fields: tuple[str, str]) -> Headers:
        """`Headers.of(("CSeq", "1"), …)`"""
        return cls(fields)

    def get(self, name: str) -> str | None:
        """The first value of that name; None without one."""
        return next(iter(self.all(name)), None)

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of that name."""
        wanted = name.lower()
        return tuple(value for known, value in self.fields if known.lower() == wanted)

    def with_(self, name: str, value: str) -> Headers:
        """With this value instead of all of that name."""
        return Headers((*self.without(name).fields, (name, value)))

    def without(self, name: str) -> Headers:
        """Without the fields of that name."""
        wanted = name.lower()
        return Headers(tuple(field for field in self.fields if field[0].lower() != wanted))

    def plus(self, other: Headers) -> Headers:
        """These and then those; nothing is replaced."""
        return Headers(self.fields + other.fields)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None
