"""What this machine is called, and where it can be reached."""

from __future__ import annotations

import ipaddress
import re
import socket

import ifaddr

_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_\-]{0,61}[A-Za-z0-9_])?")


def host_names() -> list[str]:
    """What this machine is called, here and by its neighbours (RFC 6762)."""
    host = socket.gethostname().rstrip(".")
    found = [host, f"{host.partition('.')[0]}.local", "localhost"]
    return list(dict.fromkeys(name for name in found if all(map(_LABEL.fullmatch, name.split(".")))))


def addresses() -> list[str]:
    """Of this machine, those that only mean something on one link left out."""
    found = (ip.ip if isinstance(ip.ip, str) else ip.ip[0] for each in ifaddr.get_adapters() for ip in each.ips)
    return sorted({address for address in found if not ipaddress.ip_address(address).is_link_local})
