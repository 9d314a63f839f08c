"""Which of our ports and lanes belong to which agreement: along each, payload types mean what was agreed on, and
packets are of its streams only. All others have one meaning in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from protocol.rtcp.range import SenderRange
from receiver.account.local import queue
from receiver.payload_types import PayloadTypes
from receiver.repair.opening import Opening
from receiver.repair.rtx import Retransmissions
from receiver.repair.ulp import Ulp
from receiver.source import Source
from receiver.sources import Sources

_MOST_EXPECTED = 64


class Scope:
    """What payload types mean somewhere, and what of the streams there came more than once or ahead of need."""

    def __init__(self, types: PayloadTypes, sources: Sources, *, rebuild: bool) -> None:
        self.types = types
        numbers = range(128)
        self.playable = np.array([pt in types.formats for pt in numbers])
        self.load = np.array([pt in types.formats and types.formats[pt].media == "load" for pt in numbers])
        """of packets that only measure."""
        reds = {*types.wrapped} if types.red is None else {types.red, *types.wrapped}
        special = numbers if types.ulpfec else {types.fec, *reds, *types.rtx} - {None}
        self.repairs: NDArray[np.bool_] = np.isin(np.arange(128), [*special])
        """payload types that are not media as they come, or that something is rebuilt from."""
        own = _Own(types, sources)
        self.opening = Opening(types.fec, reds, own)
        self.ulp = Ulp(types.ulpfec, own, rebuild=rebuild)
        self.retransmissions = Retransmissions(types.rtx, types.rtx_ssrcs, own)
        self._expected: dict[int, SenderRange] = {}

    def expect(self, sent: SenderRange) -> None:
        """Nothing of this one has come yet, and its sender has said all that it sent."""
        if len(self._expected) < _MOST_EXPECTED:
            self._expected[sent.ssrc] = sent

    def expected(self, ssrc: int) -> SenderRange | None:
        """What its sender said before anything of it came."""
        return self._expected.get(ssrc)

    def unmatched(self) -> Counter[str]:
        """Repair that belongs to no stream or could not be used, by reason."""
        return self.retransmissions.unmatched + self.opening.unmatched + self.ulp.unmatched()


class _Own:
    """The sources of one agreement."""

    def __init__(self, types: PayloadTypes, sources: Sources) -> None:
        self._types, self._sources = types, sources

    def __iter__(self) -> Iterator[Source]:
        return (source for source in self._sources if source.types is self._types)

    def get(self, ssrc: int) -> Source | None:
        source = self._sources.get(ssrc)
        return source if source is not None and source.types is self._types else None


class Scopes:
    """`default`: what payload types mean where nothing was agreed on."""

    def __init__(self, default: PayloadTypes, sources: Sources, *, rebuild: bool) -> None:
        self._sources, self._rebuild = sources, rebuild
        self.default = Scope(default, sources, rebuild=rebuild)
        self._agreed: dict[Hashable, Scope] = {}
        self._gone: Counter[str] = Counter()

    def of(self, path: Hashable) -> Scope:
        """The one that packets along this path belong to."""
        return self._agreed.get(queue(path), self.default) if self._agreed else self.default

    def at(self, port: int) -> Scope:
        """That of one of our ports or lanes."""
        return self._agreed.get(port, self.default)

    def describe(self, ports: Iterable[int], types: PayloadTypes) -> None:
        """What comes along these, our UDP ports or lanes, is of one agreement from now on."""
        scope = Scope(types, self._sources, rebuild=self._rebuild)
        self._agreed |= dict.fromkeys(ports, scope)

    def forget(self, ports: Iterable[int]) -> list[PayloadTypes]:
        """They mean nothing special any more; the agreements that have no port left."""
        gone = {scope for port in ports if (scope := self._agreed.pop(port, None)) is not None}
        over = [scope for scope in gone if not self._lives(scope.types)]
        for scope in over:
            self._gone += scope.unmatched()
        return [scope.types for scope in over]

    def frees(self, source: Source, *, quiet: bool) -> bool:
        """Whether packets that came elsewhere may be of it from now on: its agreement, or its stream, is over; or it is
        of none, and has been `quiet`."""
        if source.playing is None or not self._lives(source.types):
            return True
        return quiet and source.types is self.default.types

    def _lives(self, types: PayloadTypes) -> bool:
        return types is self.default.types or any(scope.types is types for scope in self._agreed.values())

    def unmatched(self) -> Counter[str]:
        """Repair that belongs to no stream or could not be used, by reason."""
        there = dict.fromkeys(self._agreed.values())
        return sum((scope.unmatched() for scope in there), self._gone + self.default.unmatched())
