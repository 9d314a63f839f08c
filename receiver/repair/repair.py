"""Repair of one stream: what is asked for, what comes of it, and how long it is waited for."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from protocol import rtx
from receiver.jitter.runs import Packets
from receiver.repair.ahead import Ahead
from receiver.repair.nack import Nacks
from receiver.repair.nack_counts import NackCounts
from receiver.repair.planning import Planning
from receiver.repair.terms import Terms


class Repair:
    """Within `terms`."""

    def __init__(self, clock_rate: int, terms: Terms, ahead: Ahead, *, sound: bool) -> None:
        self.terms, self.wait, self.ahead = terms, terms.wait, ahead
        self.planning = Planning(terms, sound=sound)
        self.nacks = Nacks(clock_rate, every_packet_is_a_frame=sound)
        self._repaired = self._late = self._packets = self._octets = 0
        self._refused: Counter[str] = Counter()

    def came(self, payload: bytes) -> None:
        """A retransmission of this stream."""
        self._packets += 1
        self._octets += len(payload)

    def refuse(self, reason: str) -> None:
        """It cannot be used."""
        self._refused[reason] += 1

    def decided(self, *, in_time: bool) -> None:
        """It stands for a packet that was asked for."""
        self._repaired += in_time
        self._late += not in_time

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


def original(number: int, timestamp: int, marker: bool, payload: bytes, arrival: int) -> Packets:
    """The packet that an RTX payload brings back; `number` extended, `timestamp` unwrapped."""
    return packet(number, timestamp, marker, payload[rtx.OVERHEAD :], arrival)


def packet(number: int, timestamp: int, marker: bool, payload: bytes, arrival: int) -> Packets:
    """One packet for the jitter buffer; `number` extended, `timestamp` unwrapped."""
    return Packets(
        np.array([number]), np.array([timestamp]), np.array([marker]), np.array([arrival]),
        np.array([0]), np.array([len(payload)]), np.frombuffer(payload, np.uint8),
    )  # fmt: skip
