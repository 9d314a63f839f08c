"""Lists of values of which some are quoted (RFC 2068 §2.1 and §2.2): separators inside quotes separate nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping

_QUOTED = r'"(?:[^"\\]++|\\.)*+"?'
_PIECE: Mapping[str, re.Pattern[str]] = {
    separator: re.compile(rf'(?:[^"{separator}]++|{_QUOTED})++', re.DOTALL) for separator in ",;"
}
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def split(text: str, separator: str) -> list[str]:
    """The pieces between commas or semicolons, stripped; empty ones are left out."""
    return [piece for piece in map(str.strip, _PIECE[separator].findall(text)) if piece]


def unquote(text: str) -> str:
    """The value without its quotes and escapes; one without quotes as it is."""
    stripped = text.strip()
    if len(stripped) < 2 or stripped[0] != '"' or stripped[-1] != '"':
        return stripped.strip('"')
    return _ESCAPED.sub(r"\1", stripped[1:-1])


def quote(text: str) -> str:
    """The value as a quoted string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def parameters(text: str, separator: str) -> list[tuple[str, str]]:
    """name[=value] pairs, names in lower case, values without quotes; "" for one without a value."""
    pairs = [piece.partition("=") for piece in split(text, separator)]
    return [(name.strip().lower(), unquote(value)) for name, _, value in pairs]
