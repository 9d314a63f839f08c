"""Hosts and ports as people write them: `HOST`, `HOST:PORT`, `[v6]:PORT`, `rtp://HOST:PORT`."""

from __future__ import annotations

import ipaddress
import re

from protocol.errors import UsageError

DEFAULT_PORT = 5004
"""RFC 3551 §8."""


def host_port(text: str, default_port: int = DEFAULT_PORT) -> tuple[str, int]:
    """The host ("" where none is written) and the port. An IPv6 address with a port needs brackets.

    Raises UsageError.
    """
    host, port = _split(text)
    return host, default_port if port is None else port


def peer(text: str) -> tuple[str, int]:
    """A host and a port that must both be written. Raises UsageError."""
    host, port = _split(text)
    if not host or port is None:
        raise UsageError(f"{text!r} needs a host and a port: write HOST:PORT")
    return host, port


def split_scheme(text: str) -> tuple[str, str]:
    """`rtp://HOST:PORT/` → ("rtp", "HOST:PORT"); without a scheme, ("", text). Raises UsageError on other schemes."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        return "", text
    if scheme.lower() not in ("rtp", "udp"):
        raise UsageError(f"{scheme}:// is not supported: write HOST:PORT or rtp://HOST:PORT")
    return scheme.lower(), rest.rstrip("/").removeprefix("@")


def _split(text: str) -> tuple[str, int | None]:
    if _is_ipv6(text):
        return text, None
    match = re.fullmatch(r"(?:\[([^\[\]]*)\]|([^:\[\]/]*))(?::(\d{1,9}))?", text)
    if not match or not text:
        raise UsageError(f"{text!r} is no address: write HOST:PORT, and an IPv6 address as [2001:db8::7]:5004")
    if match[1] is not None and not _is_ipv6(match[1]):
        raise UsageError(f"{match[1]!r} in brackets is no IPv6 address")
    port = int(match[3]) if match[3] else None
    if port is not None and not 0 < port < 65536:
        raise UsageError(f"port {port} does not exist: choose one from 1 to 65535")
    return match[1] or _host(match[2] or ""), port


def _is_ipv6(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).version == 6
    except ValueError:
        return False


def _host(text: str) -> str:
    if not re.fullmatch(r"[\w.\-]*", text):
        raise UsageError(f"{text!r} is no host name or address")
    return text
