"""SSRCs of which too few packets came to believe in them: how every stream begins, and what random bytes look like.

Their packets wait here, as copies, so that nothing of a stream is lost, and a flood of random SSRCs costs one small
record each. The longest silent go first when there is no more room.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field

import numpy as np

from protocol.datagram import Batch

MAX_PACKETS = 8192
"""that wait at once: at 100,000 junk packets a second they outlast the 20 ms between two packets of sound."""
MAX_BYTES = 8_000_000


@dataclass(slots=True)
class _Candidate:
    path: Hashable
    datagrams: list[bytes] = field(default_factory=list)
    arrival_times: list[int] = field(default_factory=list)


class Candidates:
    """Packets by SSRC, bounded in number and bytes."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[int, _Candidate] = OrderedDict()
        self._bytes = self._packets = 0
        self.dropped = 0
        """packets that made room for others."""

    def __len__(self) -> int:
        """Packets that wait."""
        return self._packets

    def count(self, ssrc: int) -> int:
        """Packets of this SSRC that wait."""
        candidate = self._waiting.get(ssrc)
        return 0 if candidate is None else len(candidate.datagrams)

    def add(self, ssrc: int, datagram: bytes, arrival_time: int, path: Hashable) -> None:
        """One more packet, which came at `arrival_time` (monotonic ns)."""
        candidate = self._waiting.get(ssrc)
        if candidate is None:
            candidate = self._waiting[ssrc] = _Candidate(path)
        else:
            self._waiting.move_to_end(ssrc)
        candidate.datagrams.append(datagram)
        candidate.arrival_times.append(arrival_time)
        self._packets += 1
        self._bytes += len(datagram)
        while self._packets > MAX_PACKETS or self._bytes > MAX_BYTES:
            self.dropped += self._forget(self._waiting.popitem(last=False)[1])

    def take(self, ssrc: int) -> Batch | None:
        """What waits of this SSRC, in the order of arrival; it waits no longer. None: nothing does."""
        candidate = self._waiting.pop(ssrc, None)
        if candidate is None:
            return None
        self._forget(candidate)
        batch = Batch.of(candidate.datagrams, 0, candidate.path)
        batch.arrival_times[:] = np.array(candidate.arrival_times, np.int64)
        return batch

    def _forget(self, candidate: _Candidate) -> int:
        self._packets -= len(candidate.datagrams)
        self._bytes -= sum(map(len, candidate.datagrams))
        return len(candidate.datagrams)
