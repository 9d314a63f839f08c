"""A report as the other end gets it: compressed JSON, without what is too much for RTCP. Nothing in it is trusted."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable, Collection, Mapping
from typing import Any, NoReturn

from protocol.errors import Malformed, Truncated

MAX_SIZE = 64_000
"""octets, compressed."""
_MAX_TEXT = 4 << 20
_MAX_DEPTH = 32
_MAX_VERDICT = 4000
_NOT_SENT = ("peer", "peers", "intervals")
_DISTRIBUTIONS = ("delay_distribution", "needed_buffer")
_REASON = "peer_report"

Report = Mapping[str, Any]


def pack(report: Report, limit: int = MAX_SIZE) -> bytes:
    """At most `limit` octets: what is too large loses its events, then its distributions, then its streams.

    What it lost is named in `left_out`. Raises ValueError when not even the rest fits.
    """
    rest = _without_members({name: value for name, value in report.items() if name not in _NOT_SENT}, ("intervals",))
    for name, shed in _SHED.items():
        if (data := _compressed(rest)) is not None and len(data) <= limit:
            return data
        rest = {**shed(rest), "left_out": [*rest.get("left_out", ()), name]}
    data = _compressed(rest)
    if data is None or len(data) > limit:
        raise ValueError(f"a report that does not fit into {limit} octets")
    return data


def unpack(data: bytes) -> dict[str, Any]:
    """Whatever object it is, of this schema version or another. Raises Truncated or Malformed."""
    try:
        report = json.loads(_decompressed(data), parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise Malformed(_REASON, str(error)) from None
    if not isinstance(report, dict):
        raise Malformed(_REASON, "JSON that is no object")
    if _deeper(report, _MAX_DEPTH):
        raise Malformed(_REASON, "JSON nested too deeply")
    return {name: value for name, value in report.items() if name not in _NOT_SENT}


def verdict(report: Report) -> str | None:
    """The other end's verdict, fit for a terminal; None when it gave none."""
    told = report.get("verdict")
    if not isinstance(told, str) or not told.strip():
        return None
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in told[:_MAX_VERDICT])


def _without_events(report: Report) -> dict[str, Any]:
    return {**report, "events": []}


def _without_distributions(report: Report) -> dict[str, Any]:
    return _without_members(report, _DISTRIBUTIONS)


def _without_members(report: Report, names: Collection[str]) -> dict[str, Any]:
    """Without these of each stream."""
    streams = report.get("streams", ())
    return {**report, "streams": [{n: v for n, v in stream.items() if n not in names} for stream in streams]}


def _without_streams(report: Report) -> dict[str, Any]:
    return {**report, "streams": []}


_SHED: dict[str, Callable[[Report], dict[str, Any]]] = {
    "events": _without_events,
    "distributions": _without_distributions,
    "streams": _without_streams,
}


def _compressed(report: Report) -> bytes | None:
    """None when the other end would refuse to unfold it."""
    text = json.dumps(report, separators=(",", ":"), allow_nan=False).encode()
    return zlib.compress(text, 9) if len(text) <= _MAX_TEXT else None


def _decompressed(data: bytes) -> bytes:
    unfold = zlib.decompressobj()
    try:
        text = unfold.decompress(data, _MAX_TEXT)
    except zlib.error as error:
        raise Malformed(_REASON, str(error)) from None
    if not unfold.eof:
        raise Truncated(_REASON, "compressed data that end early, or unfold to too much")
    return text


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)


def _deeper(value: object, depth: int) -> bool:
    """Nested deeper than `depth`."""
    if isinstance(value, dict):
        inner = value.values()
    elif isinstance(value, list):
        inner = value  # type: ignore[assignment]
    else:
        return False
    return not depth or any(_deeper(each, depth - 1) for each in inner)
