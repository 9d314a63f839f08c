"""Repair of one stream by what was sent ahead of need: its packets in and out of the Reed–Solomon rebuilder."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

from protocol.errors import ProtocolError
from protocol.rtp import parse
from protocol.serial import difference
from receiver.jitter.runs import Packets
from receiver.repair.fec import FecStatistics, Rebuilder, Rebuilt

_HEADER = struct.Struct("!BBHII")


class Restored(NamedTuple):
    """A media packet that did not come."""

    number: int
    """extended sequence number."""
    timestamp: int
    """unwrapped RTP timestamp."""
    marker: bool
    payload: bytes


class Forward:
    """Of one media SSRC and payload type, from its first repair packet on."""

    def __init__(self, ssrc: int, payload_type: int) -> None:
        self._ssrc, self._payload_type = ssrc, payload_type
        self._rebuilder = Rebuilder(ssrc)
        self._newest = 0
        """unwrapped RTP timestamp."""
        self.last_arrival = 0
        """of a repair packet, monotonic ns."""
        self.octets = 0

    def came(self, packets: Packets) -> list[Restored]:
        """Media packets that are here, by whatever way. Only what our senders send is protected: a header without
        extension, so it can be written again."""
        columns = (packets.sequence, packets.timestamp, packets.marker, packets.payload_offset, packets.payload_length)
        memory = packets.buffer.data
        rows = [
            (number, self._datagram(number, timestamp, marker, bytes(memory[at : at + length])))
            for number, timestamp, marker, at, length in zip(*(column.tolist() for column in columns), strict=True)
        ]
        if len(packets):
            self._newest = int(packets.timestamp[-1])
        return self._restored(self._rebuilder.observe(rows))

    def repair(self, sequence_number: int, payload: bytes, arrival: int) -> list[Restored]:
        """A repair packet of this stream."""
        self.last_arrival = arrival
        self.octets += len(payload)
        return self._restored(self._rebuilder.repair(sequence_number, payload))

    def play(self, until: int) -> None:
        """Numbers below are wanted no more."""
        self._rebuilder.play(until)

    def statistics(self) -> FecStatistics:
        return self._rebuilder.statistics()

    def _datagram(self, number: int, timestamp: int, marker: bool, payload: bytes) -> bytes:
        second = marker << 7 | self._payload_type
        return _HEADER.pack(0x80, second, number & 0xFFFF, timestamp & 0xFFFF_FFFF, self._ssrc) + payload

    def _restored(self, rebuilt: Iterable[Rebuilt]) -> list[Restored]:
        found = []
        for number, datagram in rebuilt:
            try:
                packet = parse(datagram)
            except ProtocolError:
                continue
            if packet.payload_type == self._payload_type:
                timestamp = self._newest + difference(packet.timestamp, self._newest & 0xFFFF_FFFF, 32)
                found.append(Restored(number, timestamp, packet.marker, packet.payload))
        return found
