"""Source description, packet type 202 (RFC 3550 §6.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from protocol.errors import Truncated
from protocol.rtcp import header

CNAME, NAME, EMAIL, PHONE, LOC, TOOL, NOTE, PRIV = range(1, 9)


class SdesItem(NamedTuple):
    type: int
    text: str
    """at most 255 octets of UTF-8."""


@dataclass(frozen=True, slots=True)
class SdesChunk:
    """What is known of one source."""

    ssrc: int
    items: tuple[SdesItem, ...] = ()

    @property
    def cname(self) -> str | None:
        """The canonical name, with what a terminal should not see replaced; None without one."""
        for kind, text in self.items:
            if kind == CNAME:
                return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
        return None

    def __bytes__(self) -> bytes:
        items = b"".join(_item(kind, text.encode()) for kind, text in self.items)
        return self.ssrc.to_bytes(4) + items + bytes(4 - len(items) % 4)  # one null at least ends the list


@dataclass(frozen=True, slots=True)
class SourceDescription:
    """Who the sources are."""

    chunks: tuple[SdesChunk, ...] = ()

    def __bytes__(self) -> bytes:
        return header.pack(header.SOURCE_DESCRIPTION, len(self.chunks), b"".join(map(bytes, self.chunks)))

    @classmethod
    def parse(cls, count: int, body: bytes) -> SourceDescription:
        """Octets that are not UTF-8 become U+FFFD."""
        chunks, at = [], 0
        for _ in range(count):
            chunk, at = _parse_chunk(body, at)
            chunks.append(chunk)
        return cls(tuple(chunks))


def _item(kind: int, text: bytes) -> bytes:
    return bytes([kind, len(text)]) + text


def _parse_chunk(body: bytes, at: int) -> tuple[SdesChunk, int]:
    """(chunk, where the next begins). A list that ends with its packet instead of a null is let through."""
    header.require(body, at + 4, "rtcp_sdes")
    ssrc, at = int.from_bytes(body[at : at + 4]), at + 4
    items = []
    while at < len(body) and body[at]:
        end = at + 2 + (body[at + 1] if at + 1 < len(body) else 0)
        if end > len(body):
            raise Truncated("rtcp_sdes", "an item longer than its packet")
        items.append(SdesItem(body[at], body[at + 2 : end].decode(errors="replace")))
        at = end
    return SdesChunk(ssrc, tuple(items)), at + 4 - at % 4
