"""The RTP-Info header (RFC 2326 §12.33): which packet each track plays from."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_NEXT = re.compile(r",\s*(?=url\s*=)", re.IGNORECASE)
_NUMBERS = {"seq": 0xFFFF, "rtptime": 0xFFFF_FFFF}


@dataclass(frozen=True, slots=True)
class RtpInfo:
    """One track's first packet."""

    url: str
    """the track's control URL, sometimes relative."""
    sequence_number: int | None = None
    timestamp: int | None = None
    """RTP timestamp that stands for the start of the range."""


def parse(text: str) -> list[RtpInfo]:
    """The tracks that name a URL, of which commas and semicolons may be part; numbers that cannot be are left out."""
    return [info for info in map(_parse_track, _NEXT.split(text)) if info.url]


def serialize(tracks: Iterable[RtpInfo]) -> str:
    """The header's value."""
    return ",".join(map(_track_text, tracks))


def _parse_track(text: str) -> RtpInfo:
    url, numbers = "", dict.fromkeys(_NUMBERS, -1)
    for piece in text.split(";"):
        name, _, value = piece.partition("=")
        known = name.strip().lower()
        if known == "url" and not url:
            url = value.strip().strip('"')
        elif known in _NUMBERS:
            numbers[known] = _number(value.strip(), _NUMBERS[known])
        elif url and known not in ("ssrc", ""):
            url += ";" + piece.strip()
    sequence_number, timestamp = (number if number >= 0 else None for number in numbers.values())
    return RtpInfo(url, sequence_number, timestamp)


def _number(text: str, limit: int) -> int:
    """-1 for what is none, or too large."""
    number = int(text) if re.fullmatch("[0-9]{1,10}", text) else -1
    return number if number <= limit else -1


def _track_text(info: RtpInfo) -> str:
    words = [f"url={info.url}"]
    if info.sequence_number is not None:
        words.append(f"seq={info.sequence_number}")
    if info.timestamp is not None:
        words.append(f"rtptime={info.timestamp}")
    return ";".join(words)
