"""One service as DNS-SD has it: instance name, place and TXT record ↔ values."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

TYPE = "_rtsp._tcp.local."
SENDS, RECEIVES = "sends", "receives"
_LONGEST_NAME = 63
"""bytes of an instance name (RFC 6763 §4.1.1)."""
_LONGEST_VALUE = 200
"""bytes of a string in a TXT record, which may have 255 with its key (§6.1)."""
_PATH = "/!$&'()*+,;=:@%-._~"
"""what may stand in a path as it is (RFC 3986 §3.3)."""


@dataclass(frozen=True, slots=True)
class Service:
    """Somebody who listens for RTSP."""

    name: str
    """for people."""
    port: int
    role: str = ""
    """SENDS or RECEIVES; empty where it is not said, as by cameras, which send."""
    path: str = ""
    """of the stream, with its slash."""
    tls: bool | None = None
    """None: not said."""
    fingerprint: str = ""
    """of the certificate it claims to have."""
    host: str = ""
    addresses: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """What to connect to."""
        host = min(self.addresses, key=_effort, default=self.host)
        return f"{'rtsps' if self.tls else 'rtsp'}://{f'[{host}]' if ':' in host else host}:{self.port}{self.path}"


def instance(name: str) -> str:
    """A label for it, before the type."""
    label = shown(name).replace(".", " ").strip() or "Steadycast"
    return f"{label.encode()[:_LONGEST_NAME].decode(errors='ignore').strip()}.{TYPE}"


def record(service: Service) -> dict[str, str]:
    """The TXT record (RFC 6763 §6)."""
    said = {
        "txtvers": "1",
        "path": service.path.encode()[:_LONGEST_VALUE].decode(errors="ignore"),
        "role": service.role,
        "encryption": "" if service.tls is None else "tls" if service.tls else "none",
        "fingerprint": service.fingerprint,
    }
    return {key: value for key, value in said.items() if value}


def read(
    name: str, host: str, port: int, addresses: Sequence[str], properties: Mapping[bytes, bytes | None]
) -> Service:
    """What somebody announced; whatever it is, nothing of it can harm a terminal or become another part of a URL."""
    said = {
        key.decode(errors="replace").lower(): (value or b"").decode(errors="replace")
        for key, value in properties.items()
    }
    path = said.get("path", "").lstrip("/")
    role = said.get("role", "")
    return Service(
        shown(name.removesuffix(f".{TYPE}").removesuffix(TYPE)),
        port,
        role if role in (SENDS, RECEIVES) else "",
        "/" + quote(path, safe=_PATH) if path else "",
        {"tls": True, "none": False}.get(said.get("encryption", "").lower()),
        shown(said.get("fingerprint", "")),
        quote(host.rstrip("."), safe=".-"),
        tuple(address for address in addresses if _is_address(address)),
    )


def shown(text: str) -> str:
    """On one line, without what a terminal would take for commands."""
    return "".join(letter if letter.isprintable() else " " for letter in text)[:255]


def _effort(address: str) -> tuple[bool, bool, bool]:
    """What most likely works comes first: from another machine, without knowing the link, IPv4."""
    place, _, zone = address.partition("%")
    found = ipaddress.ip_address(place)
    return found.is_loopback, found.is_link_local and not zone, found.version == 6


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return True
