"""Multicast groups."""

from __future__ import annotations

import ipaddress


def is_group(host: str | None) -> bool:
    """Whether it is the address of a multicast group."""
    try:
        return host is not None and ipaddress.ip_address(host).is_multicast
    except ValueError:
        return False
