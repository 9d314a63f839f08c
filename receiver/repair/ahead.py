"""Repair of one stream by what its sender sent ahead of need: repair packets, and payloads repeated later."""

from __future__ import annotations

from dataclasses import dataclass

from receiver.jitter.runs import Packets
from receiver.repair.fec import FecStatistics
from receiver.repair.forward import Forward, Restored
from receiver.repair.red import Duration, RedStatistics, Unpacker

_EXPECTED = 1_000_000_000
"""ns after a repair packet in which more are to be expected."""


@dataclass(frozen=True, slots=True)
class AheadCounts:
    """None where nothing of the kind came."""

    fec: FecStatistics | None
    fec_octets: int
    """of the payloads of repair packets."""
    red: RedStatistics | None


class Ahead:
    """Nothing is kept before the first packet that needs it."""

    def __init__(self, ssrc: int, payload_type: int, duration: Duration) -> None:
        self._ssrc, self._payload_type, self._duration = ssrc, payload_type, duration
        self._forward: Forward | None = None
        self._unpacker: Unpacker | None = None

    def came(self, packets: Packets) -> list[Restored]:
        """Packets that are here, by whatever way; returns what they help to restore."""
        if self._unpacker is not None:
            for number, timestamp in zip(packets.sequence.tolist(), packets.timestamp.tolist(), strict=True):
                self._unpacker.observe(number, timestamp)
        return [] if self._forward is None else self._forward.came(packets)

    def repair(self, sequence_number: int, payload: bytes, arrival: int) -> list[Restored]:
        """The payload of a repair packet, whose own number is `sequence_number`."""
        if self._forward is None:
            self._forward = Forward(self._ssrc, self._payload_type)
        return self._forward.repair(sequence_number, payload, arrival)

    def repeated(self, number: int, timestamp: int, payload: bytes) -> list[Restored]:
        """The payload of a packet of redundant sound: extended number, unwrapped timestamp."""
        if self._unpacker is None:
            self._unpacker = Unpacker(self._duration)
        copies = self._unpacker.unpack(number, timestamp, payload)[1]
        return [
            Restored(copy.number, copy.timestamp, False, copy.payload)
            for copy in copies
            if copy.payload_type == self._payload_type
        ]

    def play(self, until: int) -> None:
        """Numbers below are wanted no more."""
        if self._forward is not None:
            self._forward.play(until)

    def expected(self, now: int) -> bool:
        """Whether more repair packets are to be expected."""
        return self._forward is not None and now - self._forward.last_arrival < _EXPECTED

    @property
    def repeats(self) -> bool:
        """Whether payloads come repeated."""
        return self._unpacker is not None

    def counts(self) -> AheadCounts:
        """What is known now."""
        forward, unpacker = self._forward, self._unpacker
        return AheadCounts(
            None if forward is None else forward.statistics(),
            0 if forward is None else forward.octets,
            None if unpacker is None else unpacker.statistics(),
        )
