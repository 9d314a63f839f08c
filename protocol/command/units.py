"""Quantities as people write them: `2M`, `60ms`, `1280x720`, `EF`."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable

from protocol.errors import UsageError

_NUMBER = r"(\d+(?:\.\d+)?|\.\d+)"
_PREFIXES = {"": 1, "k": 1_000, "M": 1_000_000, "G": 1_000_000_000}
_SECONDS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000, "h": 3_600_000_000_000}

# RFC 2474 (CS), RFC 2597 (AF), RFC 3246 (EF), RFC 8622 (LE), RFC 5865 (VA).
DSCP = {
    **{f"CS{n}": 8 * n for n in range(8)},
    **{f"AF{n}{m}": 8 * n + 2 * m for n in range(1, 5) for m in range(1, 4)},
    "EF": 46,
    "VA": 44,
    "LE": 1,
}


def bit_rate(text: str) -> int:
    """`800k`, `2.5M` → bit/s. Raises UsageError."""
    match = re.fullmatch(_NUMBER + "([kKMG]?)", text)
    rate = round(float(match[1]) * _PREFIXES[match[2].replace("K", "k")]) if match else 0
    if rate < 1_000:
        raise UsageError(f"{text!r} is no bit-rate: write for example 800k or 2M")
    return rate


def share(text: str) -> float:
    """`1%`, `0.5%`, `0.01` → 0 to 1. Raises UsageError."""
    match = re.fullmatch(_NUMBER + r"\s*(%?)", text)
    value = float(match[1]) / (100 if match[2] else 1) if match else math.nan
    if not 0 <= value <= 1:
        raise UsageError(f"{text!r} is no share: write for example 1% or 0.01")
    return value


def duration(text: str) -> int:
    """`60ms`, `1.5s`, `10m` → ns. The unit is needed. Raises UsageError."""
    match = re.fullmatch(_NUMBER + r"\s*(ns|us|ms|s|m|h)", text)
    if not match:
        raise UsageError(f"{text!r} is no time: write a number with its unit, for example 60ms, 30s or 10m")
    return round(float(match[1]) * _SECONDS[match[2]])


def positive_duration(text: str) -> int:
    """A duration above zero, in ns. Raises UsageError."""
    time = duration(text)
    if time == 0:
        raise UsageError(f"{text!r} is no time at all: write for example 30s")
    return time


def size(text: str) -> tuple[int, int]:
    """`1280x720` → (width, height), both even as every codec here wants them. Raises UsageError."""
    match = re.fullmatch(r"(\d{1,5})[xX×](\d{1,5})", text)
    if not match:
        raise UsageError(f"{text!r} is no picture size: write it as 1280x720")
    width, height = int(match[1]), int(match[2])
    if not (16 <= width <= 16384 and 16 <= height <= 16384) or width % 2 or height % 2:
        raise UsageError(f"{text!r}: width and height must be even numbers from 16 to 16384")
    return width, height


def frame_rate(text: str) -> float:
    """`30`, `29.97`, `30000/1001` → frames a second. Raises UsageError."""
    match = re.fullmatch(_NUMBER + r"(?:/(\d+))?", text)
    divisor = int(match[2] or 1) if match else 0
    rate = float(match[1]) / divisor if match and divisor else math.nan
    if not 0.1 <= rate <= 1000:
        raise UsageError(f"{text!r} is no frame rate: write for example 30 or 30000/1001")
    return rate


def dscp(text: str) -> int:
    """`EF`, `AF41`, `CS5` or a number from 0 to 63 → the six bits of RFC 2474. Raises UsageError."""
    if text.isdecimal() and int(text) < 64:
        return int(text)
    if text.upper() not in DSCP:
        raise UsageError(f"{text!r} is no DSCP: write EF, AF11 to AF43, CS0 to CS7, or a number from 0 to 63")
    return DSCP[text.upper()]


def integer(low: int, high: int) -> Callable[[str], int]:
    """A reader of whole numbers from `low` to `high`; 0x… is understood."""

    def read(text: str) -> int:
        try:
            number = int(text, 0)
        except ValueError:
            number = low - 1
        if not low <= number <= high:
            raise UsageError(f"{text!r} is no whole number from {low} to {high}")
        return number

    return read


def choice(choices: Iterable[str]) -> Callable[[str], str]:
    """A reader that takes one of `choices`, compared without case."""
    known = tuple(choices)

    def read(text: str) -> str:
        if text.lower() in known:
            return text.lower()
        raise UsageError(f"there is no {text!r}{suggestion(text, known)}; choose from {', '.join(known)}")

    return read


def suggestion(text: str, known: Iterable[str]) -> str:
    """`, did you mean 'h264'?` where something known is close; else empty."""
    close = difflib.get_close_matches(text.lower(), list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""
