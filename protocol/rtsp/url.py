"""rtsp:// and rtsps:// (RFC 2326 §3.2, RFC 7826 §4.2), and the URLs of tracks (RFC 2326 C.1.1)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from protocol.errors import Malformed

DEFAULT_PORTS: Mapping[str, int] = {"rtsp": 554, "rtsps": 322}
_ABSOLUTE = re.compile("(rtsps?)://", re.IGNORECASE)
_AUTHORITY = re.compile(r"(?:\[([^\[\]]*)\]|([^:\[\]]*))(?::([0-9]{0,5}))?")
_IPV6 = re.compile(r"[0-9A-Fa-f:.]+(?:%[\w.\-]+)?")
_NAME = re.compile(r"[\w.\-]{1,255}")
_SURROGATE = re.compile("[\ud800-\udfff]")
"""What Python makes of a command line that is no UTF-8."""
_UNESCAPED = "!#$%&'()*+,/:;=?@[]~"
"""Characters of a path that stay as they are: servers compare text."""


@dataclass(frozen=True, slots=True)
class Url:
    """Where a stream is. `str()` has no user and no password, and is what a request names."""

    scheme: str
    """rtsp or rtsps."""
    host: str
    """name or address, IPv6 without brackets."""
    port: int
    path: str = ""
    """as in the text, with the slash before it and any query, percent-encoded."""
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def secure(self) -> bool:
        """TLS is spoken."""
        return self.scheme == "rtsps"

    @property
    def name(self) -> str:
        """The path as people write it: without slashes around it, query or percent signs."""
        return unquote(self.path.partition("?")[0]).strip("/")

    def __str__(self) -> str:
        host = f"[{self.host.replace('%', '%25')}]" if ":" in self.host else self.host
        port = "" if self.port == DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path}"


def parse(text: str) -> Url:
    """Raises Malformed. A password may hold `@` and `:` as it is, `/` only as %2F."""
    match = _ABSOLUTE.match(text)
    if not match or _SURROGATE.search(text):
        raise Malformed("rtsp_url", f"{text[:60]!r} is not rtsp://HOST/NAME or rtsps://HOST/NAME")
    scheme, rest = match[1].lower(), text[match.end() :]
    end = next((i for i, letter in enumerate(rest) if letter in "/?"), len(rest))
    credentials, at, authority = rest[:end].rpartition("@")
    user, colon, password = credentials.partition(":")
    host, port = _host_port(authority)
    return Url(
        scheme,
        host,
        DEFAULT_PORTS[scheme] if port is None else port,
        quote(rest[end:], safe=_UNESCAPED),
        unquote(user) if at else None,
        unquote(password) if colon else None,
    )


def control(base: str, control: str | None) -> str:
    """The URL of what a description's a=control names; `base` is Content-Base, Content-Location or the request's URL.

    Servers mean "append this", whether or not a slash ends their base, and also where the base has a query; RFC 1808's
    way, which drops what follows the last slash, would lead elsewhere.
    """
    if not control or control == "*":
        return base
    if _ABSOLUTE.match(control):
        return control
    root, path = _split_root(base)
    if control.startswith("/") and path.strip("/") and control.startswith(path.rstrip("/")):
        return root + control
    if control.startswith("?"):
        return base + control
    return base.rstrip("/") + "/" + control.lstrip("/")


def _split_root(url: str) -> tuple[str, str]:
    """(scheme and host, the rest)"""
    match = re.match("[A-Za-z]+://[^/?]*", url)
    end = match.end() if match else 0
    return url[:end], url[end:]


def _host_port(text: str) -> tuple[str, int | None]:
    match = _AUTHORITY.fullmatch(text)
    if not match:
        raise Malformed("rtsp_url", f"{text[:60]!r} is no host")
    host = match[2] if match[1] is None else _ipv6(match[1])
    if match[1] is None and not _NAME.fullmatch(host):
        raise Malformed("rtsp_url", f"{host[:60]!r} is no host")
    port = int(match[3]) if match[3] else None
    if port is not None and not 0 < port < 65536:
        raise Malformed("rtsp_url", f"port {port} does not exist")
    return host.lower(), port


def _ipv6(text: str) -> str:
    """`%25` before a zone (RFC 6874) is `%`."""
    address = text.replace("%25", "%")
    try:
        if _IPV6.fullmatch(address) and ipaddress.IPv6Address(address):
            return address
    except ValueError:
        pass
    raise Malformed("rtsp_url", f"{text[:60]!r} in brackets is no IPv6 address")
