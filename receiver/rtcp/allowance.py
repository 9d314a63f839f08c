"""How much may be sent to an address: no more than came from there.

Anybody can write another's address on a datagram and have our answers fall on it (RFC 9000 §8.1 sees the same danger).
Whoever has the key may be answered freely.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence

from protocol.datagram import Batch, Transmission

MOST_PATHS = 4096
"""whose credit is known; of more, those are forgotten that were silent longest."""
MOST_CREDIT = 1 << 20
"""octets for one path: what came hours ago is no reason to send much now."""
_HEADERS = 28
"""octets of IPv4 and UDP; with IPv6 both directions have more."""


class Allowance:
    """Of one receiver. Paths are opaque."""

    def __init__(self, answered_along: Callable[[Hashable], Iterable[Hashable]], free: Hashable | None = None) -> None:
        """`answered_along`: the paths of media that are answered along this one. `free`: the path that the user named,
        if any."""
        self._answered_along = answered_along
        self._credit: OrderedDict[Hashable, int] = OrderedDict()
        self._trusted: OrderedDict[Hashable, None] = OrderedDict()
        self._free = free
        self.withheld = 0
        """datagrams that were not sent."""

    def heard(self, batch: Batch) -> None:
        """This came."""
        if batch.authentic:
            _remember(self._trusted, batch.path, None)
        else:
            came = int(batch.lengths.sum()) + _HEADERS * len(batch)
            _remember(self._credit, batch.path, min(MOST_CREDIT, self._credit.get(batch.path, 0) + came))

    def let(self, transmissions: Iterable[Transmission]) -> list[Transmission]:
        """Those that may go, which are then counted; of one, its first datagrams may."""
        return [part for part in map(self._let, transmissions) if part.datagrams]

    def _let(self, transmission: Transmission) -> Transmission:
        path, datagrams = transmission.path, transmission.datagrams
        if path in self._trusted or (path is not None and path == self._free):
            return transmission
        count = next((n for n, each in enumerate(datagrams) if not self._spend(path, len(each) + _HEADERS)), None)
        if count is None:
            return transmission
        self.withheld += len(datagrams) - count
        return Transmission(datagrams[:count], path)

    def _spend(self, path: Hashable, octets: int) -> bool:
        """Of what came along this path, then of what came along those answered here."""
        if self._take(octets, [path]):
            return True
        return self._take(octets, [path, *(each for each in self._answered_along(path) if each != path)])

    def _take(self, octets: int, paths: Sequence[Hashable]) -> bool:
        if sum(self._credit.get(path, 0) for path in paths) < octets:
            return False
        for path in paths:
            spent = min(octets, self._credit.get(path, 0))
            if spent:
                self._credit[path] -= spent
                octets -= spent
        return True


def _remember(known: OrderedDict[Hashable, int] | OrderedDict[Hashable, None], path: Hashable, value: object) -> None:
    known[path] = value  # type: ignore[assignment]
    known.move_to_end(path)
    if len(known) > MOST_PATHS:
        known.popitem(last=False)
