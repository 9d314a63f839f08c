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
    accepts: int = 200
    accept_rate: float = 1000.0
    """connections taken from the system's queue at once, and each second from then on, those refused counted as a fifth
    each; those beyond wait there."""
    handshakes: int = 200
    handshake_rate: float = 100.0
    """of TLS, at once and each second from then on: each takes a millisecond of a core; those beyond wait a moment."""
    first_byte: float = 5.0
    request: float = 10.0
    """for the TLS handshake; until the first whole request has come; and for each later one that has begun."""
    idle: float = 64.0
    """without a whole message, unless something else keeps the connection alive."""
    look: float = 1.0
    """between looks at who takes too long, or too much."""
    messages: int = 100
    message_rate: float = 20.0
    """messages one connection may bring at once, and each second from then on."""
    body: int = 65_536
    """bytes of a message's body."""
    held: int = 32_000_000
    """bytes of messages that are not whole, and of answers that are not read, in all; beyond, whoever holds most is
    closed."""


class Bucket:
    """So many at once, and so many each second from then on. `now` is in seconds, from any start."""

    __slots__ = ("_at", "_left", "_most", "_rate")

    def __init__(self, most: float, rate: float, now: float) -> None:
        self._most, self._rate, self._left, self._at = most, rate, most, now

    def left(self, now: float) -> float:
        """How many may come now."""
        self._left = min(self._most, self._left + (now - self._at) * self._rate)
        self._at = now
        return self._left

    def spend(self, count: float) -> None:
        """They came."""
        self._left -= count

    def take(self, now: float) -> bool:
        """One comes; False: it is one too many, and does not count."""
        may = self.left(now) >= 1
        self.spend(may)
        return may

    def full(self, now: float) -> bool:
        """Nothing to remember: it is as if new."""
        return self.left(now) >= self._most


@dataclass(slots=True)
class _Allowance:
    """Of one address."""

    bucket: Bucket
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
            if not allowance.bucket.take(now):
                return "rate"
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
            self._known[key] = _Allowance(Bucket(self._limits.burst, self._limits.rate, now))
        return self._known[key]

    def _forget(self, now: float) -> None:
        """Whoever would get all of it again has nothing to remember; if that is too few, all who have nothing open."""
        self._known = {key: a for key, a in self._known.items() if a.open or not a.bucket.full(now)}
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
