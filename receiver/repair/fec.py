"""Rebuilds lost packets of one stream from its Reed–Solomon repair packets (docs/wire.md).

Repair packets whose covered packets all came are of no use. The others wait as equations, each with some unknowns; what
has unknowns in common is solved together, as soon as it may determine one. What a solution says is a packet only if it
has its sum. Where equations contradict each other or what came, or give no packet, all that were solved together go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from protocol.errors import Malformed, ProtocolError
from protocol.fec import payload, reed_solomon
from protocol.fec.payload import Repair
from protocol.fec.reed_solomon import SPAN, Equation
from protocol.serial import difference
from receiver.repair.recent import Rebuilt as Rebuilt
from receiver.repair.recent import Recent

MAX_WAITING = 32
"""equations; of more, the oldest go."""
_CREDIT = 256
"""repair packets that may come at once; for the rest, no more than one for each media packet is looked at."""


@dataclass(frozen=True, slots=True)
class FecStatistics:
    """Repair packets and what came of them; `received` counts all."""

    received: int
    rebuilt: int
    """media packets handed out."""
    unneeded: int
    """nothing was missing of what they cover."""
    waiting: int
    refused: Mapping[str, int]
    """by reason: those of protocol.fec, and fec_ssrc, fec_ahead, fec_old, fec_played, fec_copy, fec_excess."""
    unsolved: int
    """what they cover never became enough of."""
    contradicted: int
    """media packets that came after they had been rebuilt, and were others."""


class Rebuilder:
    """Of one media SSRC and numbering; sans-IO. Its memory: `Recent`'s, and at most MAX_WAITING repair packets."""

    def __init__(self, media_ssrc: int) -> None:
        self._media_ssrc = media_ssrc
        self._recent = Recent()
        self._waiting: list[Equation] = []
        self._unknown: set[int] = set()
        """what the waiting ones need."""
        self._rebuilt: set[int] = set()
        self._played = 0
        self._credit = _CREDIT
        self._received = self._handed_out = self._unneeded = self._unsolved = self._contradicted = 0
        self._refused: Counter[str] = Counter()

    def observe(self, packets: Sequence[tuple[int, bytes]]) -> list[Rebuilt]:
        """Media packets that came, or came again: extended numbers, and whole RTP packets. Returns what they help to
        rebuild."""
        if self._rebuilt:
            self._compare(packets)
        self._recent.add(packets)
        self._credit = min(self._credit + len(packets), _CREDIT)
        known = (number for number, _ in packets)
        return self._solve() if self._unknown and not self._unknown.isdisjoint(known) else []

    def repair(self, sequence_number: int, data: bytes) -> list[Rebuilt]:
        """The payload of a repair packet, whose own number is `sequence_number`. Returns what it helps to rebuild, each
        packet once. Never raises: what cannot be used is counted."""
        self._received += 1
        try:
            equation = self._equation(sequence_number, data)
        except ProtocolError as error:
            self._refused[error.reason] += 1
            return []
        if all(number in self._recent for number in equation.covered):
            self._unneeded += 1
            return []
        self._waiting.append(equation)
        return self._solve()

    def play(self, until: int) -> None:
        """Nobody wants numbers below `until` any more."""
        self._played = max(self._played, until)

    def statistics(self) -> FecStatistics:
        """A frozen copy of everything counted."""
        return FecStatistics(
            self._received, self._handed_out, self._unneeded, len(self._waiting), dict(self._refused),
            self._unsolved, self._contradicted,
        )  # fmt: skip

    # -- in ---------------------------------------------------------------------------------------------------

    def _equation(self, sequence_number: int, data: bytes) -> Equation:
        """Raises ProtocolError for one that is of no use."""
        repair = Repair.parse(data)
        newest = self._recent.newest
        if repair.media_ssrc != self._media_ssrc or newest is None:
            raise Malformed("fec_ssrc", "about a stream that is not here")
        first = newest + difference(repair.first, newest & 0xFFFF, 16)
        covered = range(first, first + repair.count * repair.stride, repair.stride)
        if covered[-1] > newest + SPAN:
            raise Malformed("fec_ahead", "about packets far ahead")
        if first < self._recent.floor:
            raise Malformed("fec_old", "about packets long gone")
        if covered[-1] < self._played:
            raise Malformed("fec_played", "about packets that were played")
        equation = Equation(sequence_number % SPAN, covered, repair.symbol)
        if any(equation.row == other.row and covered == other.covered for other in self._waiting):
            raise Malformed("fec_copy", "it is here already")
        if not self._credit:
            raise Malformed("fec_excess", "more repair than media")
        self._credit -= 1
        return equation

    def _compare(self, packets: Sequence[tuple[int, bytes]]) -> None:
        """What comes after all has the last word."""
        for number, packet in packets:
            if number in self._rebuilt:
                self._rebuilt.discard(number)
                self._contradicted += packet != self._recent.get(number)

    # -- solving ----------------------------------------------------------------------------------------------

    def _solve(self) -> list[Rebuilt]:
        self._retire()
        found: dict[int, bytes] = {}
        for together in self._groups():
            try:
                found |= self._packets(together)
            except ProtocolError as error:
                self._refused[error.reason] += len(together)
                self._waiting = [equation for equation in self._waiting if equation not in together]
        self._recent.add(found.items())
        self._retire()
        self._rebuilt = {number for number in self._rebuilt | found.keys() if number >= self._recent.floor}
        rebuilt = [Rebuilt(number, found[number]) for number in sorted(found) if number >= self._played]
        self._handed_out += len(rebuilt)
        return rebuilt

    def _retire(self) -> None:
        """Equations without unknowns have served; the oldest will not."""
        floor = max(self._recent.floor, self._played)
        open_ones = [e for e in self._waiting if any(number not in self._recent for number in e.covered)]
        useful = [e for e in open_ones if e.covered[0] >= self._recent.floor and e.covered[-1] >= floor][-MAX_WAITING:]
        self._unsolved += len(open_ones) - len(useful)
        self._waiting = useful
        self._unknown = {number for e in useful for number in e.covered if number not in self._recent}

    def _groups(self) -> list[list[Equation]]:
        """Equations that have unknowns in common, where they may be enough to determine one."""
        groups: list[tuple[set[int], list[Equation], int]] = []
        for equation in self._waiting:
            unknown = self._unknown.intersection(equation.covered)
            members, fewest, apart = [equation], len(unknown), []
            for group in groups:
                if group[0].isdisjoint(unknown):
                    apart.append(group)
                else:
                    unknown, members, fewest = unknown | group[0], members + group[1], min(fewest, group[2])
            groups = [*apart, (unknown, members, fewest)]
        return [members for _, members, fewest in groups if fewest <= len(members)]

    def _packets(self, equations: list[Equation]) -> dict[int, bytes]:
        """What they determine. Raises Malformed."""
        symbols = reed_solomon.solve(equations, self._symbol)
        return {number: payload.datagram(symbol, number, self._media_ssrc) for number, symbol in symbols.items()}

    def _symbol(self, number: int) -> bytes | None:
        packet = self._recent.get(number)
        return None if packet is None else payload.symbol(packet)
