"""Normal play time in the Range header and in a=range (RFC 2326 §3.6, §12.29)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from protocol.errors import Malformed, Unsupported

_SECONDS = r"[0-9]{1,9}(?:\.[0-9]{0,9})?"
_CLOCK = r"[0-9]{1,6}:[0-9]{1,2}:[0-9]{1,2}(?:\.[0-9]{0,9})?"
_TIME = rf"{_CLOCK}|{_SECONDS}|now"
_RANGE = re.compile(rf"({_TIME})?\s*-\s*({_TIME})?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Npt:
    """From one moment of a presentation to another, in seconds from its beginning."""

    start: float | None = None
    """None: where it is now, or live."""
    end: float | None = None
    """None: as far as it goes."""


def parse(text: str) -> Npt:
    """Raises Unsupported for clocks other than npt (smpte, clock), Malformed for what is no range."""
    unit, equals, value = text.partition(";")[0].partition("=")  # after the semicolon: when to begin
    if not equals:
        raise Malformed("rtsp_range", f"{text[:40]!r} is no range")
    if unit.strip().lower() != "npt":
        raise Unsupported("rtsp_range", f"{unit.strip()[:20]!r} instead of npt")
    match = _RANGE.fullmatch(value.strip())
    if not match or not (match[1] or match[2]):
        raise Malformed("rtsp_range", f"{value[:40]!r} is no range")
    return Npt(_seconds(match[1]), _seconds(match[2]))


def serialize(npt: Npt) -> str:
    """npt=start-[end], to the millisecond."""
    start = "now" if npt.start is None else f"{npt.start:.3f}"
    return f"npt={start}-" + ("" if npt.end is None else f"{npt.end:.3f}")


def _seconds(text: str | None) -> float | None:
    if text is None or text.lower() == "now":
        return None
    seconds = 0.0
    for part in text.split(":"):
        seconds = seconds * 60 + float(part)
    return seconds
