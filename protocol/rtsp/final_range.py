"""What a sender numbered, told over the control connection when nothing follows: a parameter (RFC 2326 §10.9) between
two of ours, with the meaning of the final range in RTCP (docs/wire.md). Its 200 is the acknowledgement.

    x-steadycast-range: 305419896 1000 1999 1000, 2271560481 0 49 50
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from protocol.errors import Malformed

NAME = "x-steadycast-range"
_ENTRY = re.compile(r"([0-9]{1,10}) +([0-9]{1,20}) +([0-9]{1,20}) +([0-9]{1,20})")
_MOST = 64
"""entries of one value."""


@dataclass(frozen=True, slots=True)
class FinalRange:
    """Everything that one source has numbered; each entry has these in this order, decimal."""

    ssrc: int
    """of the media."""
    first: int
    """extended sequence number, 64 bits; its low 16 are the RTP header's."""
    last: int
    """likewise; first - 1 where nothing was numbered."""
    count: int
    """packets handed to the network: at most last - first + 1."""


def serialize(ranges: Iterable[FinalRange]) -> str:
    """The parameter's value."""
    return ", ".join(f"{one.ssrc} {one.first} {one.last} {one.count}" for one in ranges)


def parse(text: str) -> list[FinalRange]:
    """Raises Malformed."""
    entries = text.split(",")
    if len(entries) > _MOST:
        raise Malformed("rtsp_range", f"{len(entries)} sources")
    return [_parse(entry.strip()) for entry in entries]


def _parse(text: str) -> FinalRange:
    match = _ENTRY.fullmatch(text)
    if not match:
        raise Malformed("rtsp_range", f"{text[:40]!r} where SSRC, first, last and count should be")
    ssrc, first, last, count = map(int, match.groups())
    if ssrc > 0xFFFF_FFFF or max(first, last) >= 1 << 64 or not count <= last - first + 1:
        raise Malformed("rtsp_range", f"{count} packets of {ssrc} numbered {first} to {last}")
    return FinalRange(ssrc, first, last, count)
