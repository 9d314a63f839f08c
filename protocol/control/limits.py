"""How much of this machine strangers can take by TCP alone: arithmetic, without a socket or a clock."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

_MAX_REMEMBERED = 4096
"""addresses whose rate is known; when there are more, those are forgotten that have their whole allowance."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one listening program. Times are seconds."""

    connections: int = 512
    """in all."""
    per_address: int = 32
    """from one address, of IPv6 one /64; connections from this machine to itself only count in all."""
    burst: int = 128
    rate: float = 16.0
    """new connections one address may make at once, and each second from then on."""
    accepts: int = 400
    """connections taken from the system's queue between two looks; those beyond wait there."""
    first_byte: float = 5.0
    request: float = 10.0
    """for the TLS handshake; until the first whole request has come; and for each later one that has begun."""
    idle: float = 64.0
    """without a whole message, unless something else keeps the connection alive."""
    look: float = 1.0
    """between looks at who takes too long."""


@dataclass(slots=True)
class _Allowance:
    """Of one address: a token bucket."""

    left: float
    at: float
    open: int = 0


class Admission:
    """Who may connect. `now` is in seconds, from any start."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._known: dict[str, _Allowance] = {}
        self.open = 0

    def admit(self, address: str, now: float) -> str | None:
        """None when it may, else the limit in the way: full, address or rate. Who was admitted must be released."""
        limits, key = self._limits, _key(address)
        if self.open >= limits.connections:
            return "full"
        if key is not None:
            allowance = self._allowance(key, now)
            if allowance.open >= limits.per_address:
                return "address"
            if allowance.left < 1:
                return "rate"
            allowance.left -= 1
            allowance.open += 1
        self.open += 1
        return None

    def release(self, address: str) -> None:
        """One that was admitted is closed."""
        self.open -= 1
        key = _key(address)
        if key is not None:
            self._known[key].open -= 1

    def _allowance(self, key: str, now: float) -> _Allowance:
        if key not in self._known:
            if len(self._known) >= _MAX_REMEMBERED:
                self._forget(now)
            return self._known.setdefault(key, _Allowance(self._limits.burst, now))
        allowance = self._known[key]
        allowance.left = self._refilled(allowance, now)
        allowance.at = now
        return allowance

    def _refilled(self, allowance: _Allowance, now: float) -> float:
        return min(self._limits.burst, allowance.left + (now - allowance.at) * self._limits.rate)

    def _forget(self, now: float) -> None:
        """Whoever would get all of it again has nothing to remember; if that is too few, all who have nothing open."""
        burst = self._limits.burst
        self._known = {key: a for key, a in self._known.items() if a.open or self._refilled(a, now) < burst}
        if len(self._known) >= _MAX_REMEMBERED:
            self._known = {key: a for key, a in self._known.items() if a.open}


def _key(address: str) -> str | None:
    """What counts as one address; None for this machine."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is None:
            return None if found.is_loopback else str(ipaddress.IPv6Network((found, 64), strict=False))
        found = found.ipv4_mapped
    return None if found.is_loopback else str(found)
