"""Repair of one stream: what is asked for, what comes back by every way, and what is planned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Literal, Protocol

from protocol import rtx
from protocol.serial import difference
from receiver.jitter.runs import Packets
from receiver.repair.ahead import Ahead
from receiver.repair.forward import Restored
from receiver.repair.losses import Arrivals, Losses
from receiver.repair.nack import Deadline, Nacks
from receiver.repair.nack_counts import NackCounts
from receiver.repair.planning import Planning, summary
from receiver.repair.terms import Terms


class Place(Protocol):
    """Where what comes back belongs: the stream."""

    newest_timestamp: int

    def take_back(self, packet: Packets, how: Literal["rtx", "fec"]) -> bool:
        """One packet came back; whether that was of use."""


class Repair:
    """Within `terms`, for `place`."""

    def __init__(self, clock_rate: int, terms: Terms, ahead: Ahead, place: Place, *, sound: bool) -> None:
        self.terms, self.ahead = terms, ahead
        self.wait = terms.wait if sound else terms.wait + terms.grace
        """ns after the least transit after which nothing is waited for."""
        self.planning = Planning(terms, sound=sound)
        self.nacks = Nacks(clock_rate, every_packet_is_a_frame=sound)
        self._losses = Losses()
        self._place, self._sound = place, sound
        self._repaired = self._late = self._packets = self._octets = 0
        self._refused: Counter[str] = Counter()

    # -- what comes -------------------------------------------------------------------------------------------

    def originals(self, packets: Packets) -> None:
        """First copies, in the order of their arrival."""
        self.nacks.came(packets)
        self._restore(self.ahead.came(packets), int(packets.arrival_time[-1]))

    def retransmitted(self, osn: int | None, payload: bytes, timestamp: int, marker: bool, arrival: int) -> None:
        """An RTX payload with its original's sequence number; `timestamp` as in its header."""
        self._packets += 1
        self._octets += len(payload)
        if osn is None:
            self._refused["empty"] += 1
            return
        number, timestamp = self.nacks.extended(osn), self._unwrapped(timestamp)
        why_not = self.nacks.answered(number, timestamp, marker, arrival)
        if why_not:
            self._refused[why_not] += 1
            return
        original = Packets.one(number, timestamp, marker, payload[rtx.OVERHEAD :], arrival)
        useful = self._place.take_back(original, "rtx")
        self._repaired += useful
        self._late += not useful
        self._restore(self.ahead.came(original), arrival)

    def sent_ahead(self, sequence_number: int, payload: bytes, arrival: int) -> None:
        """A repair packet, with its own number."""
        self._restore(self.ahead.repair(sequence_number, payload, arrival), arrival)

    def repeated(self, sequence_number: int, timestamp: int, payload: bytes, arrival: int) -> None:
        """A packet that came repeats earlier ones; number, timestamp and payload as they came."""
        found = self.ahead.repeated(self.nacks.extended(sequence_number), self._unwrapped(timestamp), payload)
        self._restore(found, arrival)

    def _restore(self, found: Iterable[Restored], arrival: int) -> None:
        for number, timestamp, marker, payload in found:
            self.nacks.restored(number)
            self._place.take_back(Packets.one(number, timestamp, marker, payload, arrival), "fec")

    def _unwrapped(self, timestamp: int) -> int:
        newest = self._place.newest_timestamp
        return newest + difference(timestamp, newest & 0xFFFF_FFFF, 32)

    # -- what is asked for ------------------------------------------------------------------------------------

    def ask(self, now: int, deadline: Deadline, *, promised: bool) -> list[int]:
        """Extended numbers that are to be asked for now. `promised`: the sender is known to answer."""
        self.nacks.promised = promised
        asking = not self._sound or self.planning.plan.nack
        return self.nacks.due(now, deadline if asking else _never)

    def asked_for(self, osn: int) -> bool:
        """Whether a retransmission of this 16-bit number may come."""
        return self.nacks.asked_for(self.nacks.extended(osn))

    def take_overwhelmed(self) -> bool:
        """Whether too much was missing at once to be asked for, since the last call."""
        overwhelmed, self.nacks.overwhelmed = self.nacks.overwhelmed, False
        return overwhelmed

    def plan(self, arrivals: Arrivals, now: int, *, frames: int, elapsed: int, congested: bool) -> str:
        """Look at what suits after so many frames and ns; the reason where that is something new, else empty."""
        self._losses.look(arrivals, now)
        nacks = self.nacks
        seen = summary(self._losses, now, frames, elapsed, self.terms.wait, nacks.round_trip.measured, nacks.answer)
        return self.planning.plan.why if self.planning.look(seen, congested=congested) else ""

    @property
    def least(self) -> int:
        """ns after its least transit before which sound should not be played."""
        return self.planning.least if self.ahead.repeats else 0

    # -- reading ----------------------------------------------------------------------------------------------

    def carried(self) -> tuple[int, int]:
        """Packets of repair that came by every way, and octets of RTP payload in them."""
        ahead = self.ahead.counts()
        return self._packets + (0 if ahead.fec is None else ahead.fec.received), self._octets + ahead.fec_octets

    def counts(self) -> NackCounts:
        """What is known now."""
        return replace(
            self.nacks.counts(), repaired=self._repaired, late=self._late, packets=self._packets, octets=self._octets,
            refused=dict(self._refused),
        )  # fmt: skip


def _never(_: int) -> int:
    """A deadline that nothing can meet."""
    return 0
