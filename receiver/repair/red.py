"""Takes redundant audio data (RFC 2198) apart: the packet's own payload, and those of packets that may not have come.

A repeated payload has a timestamp and no number. Its number is found by counting back from the packet that carries it,
a duration a number, and is believed only where the timestamps of the numbers around it agree.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from protocol import red
from protocol.errors import ProtocolError
from protocol.red import Block, Red

_REMEMBERED = 256
"""numbers up to the newest, of which the timestamps are known."""

Duration = Callable[[bytes], int | None]
"""payload -> ticks, None where it cannot be told."""


class Copy(NamedTuple):
    """The payload of a packet that has not come."""

    number: int
    """extended sequence number."""
    timestamp: int
    """unwrapped RTP timestamp."""
    payload_type: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class RedStatistics:
    """Repeated payloads by what became of them."""

    copies: int
    """handed out."""
    unneeded: int
    """their packets, or other copies, were here."""
    refused: Mapping[str, int]
    """by reason: those of protocol.red, and red_offset (no number fits the timestamp)."""


class Unpacker:
    """Of one stream; sans-IO and bounded."""

    def __init__(self, duration: Duration) -> None:
        self._duration = duration
        self._numbers: list[int] = []
        self._timestamps: dict[int, int] = {}
        self._copies = self._unneeded = 0
        self._refused: Counter[str] = Counter()

    def observe(self, number: int, timestamp: int) -> None:
        """A packet of this stream is here, with or without redundancy: extended number, unwrapped timestamp."""
        if number in self._timestamps:
            return
        insort(self._numbers, number)
        self._timestamps[number] = timestamp
        while self._numbers[-1] - self._numbers[0] >= _REMEMBERED:
            del self._timestamps[self._numbers.pop(0)]

    def unpack(self, number: int, timestamp: int, payload: bytes) -> tuple[Red | None, list[Copy]]:
        """A packet of RED: what it carries, and which of that stands for packets that have not come, each once and
        oldest first. (None, []) for one that cannot be read; it is counted."""
        self.observe(number, timestamp)
        try:
            carried = red.parse(payload)
        except ProtocolError as error:
            self._refused[error.reason] += 1
            return None, []
        copies = [self._copy(number, timestamp, block) for block in carried.redundant]
        return carried, [copy for copy in copies if copy is not None]

    def statistics(self) -> RedStatistics:
        """A frozen copy of everything counted."""
        return RedStatistics(self._copies, self._unneeded, dict(self._refused))

    def _copy(self, carrier: int, carried_at: int, block: Block) -> Copy | None:
        if not block.payload:  # a packet that had nothing to repeat may say so (RFC 2198 §4)
            return None
        duration = self._duration(block.payload)
        timestamp = carried_at - block.offset
        steps, rest = divmod(block.offset, duration) if duration else (0, 0)
        number = carrier - steps
        if not steps or rest or not self._fits(number, timestamp):
            self._refused["red_offset"] += 1
            return None
        if number in self._timestamps:
            self._unneeded += 1
            return None
        self.observe(number, timestamp)
        self._copies += 1
        return Copy(number, timestamp, block.payload_type, block.payload)

    def _fits(self, number: int, timestamp: int) -> bool:
        """Whether the neighbours of that number leave room for this timestamp."""
        if number in self._timestamps:
            return self._timestamps[number] == timestamp
        at = bisect_left(self._numbers, number)
        if at and self._timestamps[self._numbers[at - 1]] >= timestamp:
            return False
        return self._timestamps[self._numbers[at]] > timestamp and number > self._numbers[-1] - _REMEMBERED
