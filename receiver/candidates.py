"""SSRCs of which too few packets came to believe in them: how every stream begins, and what random bytes look like.

Their packets wait here, as copies, so that nothing of a stream is lost, and a flood of random SSRCs costs one small
record each. The longest silent go first when there is no more room.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from protocol.datagram import Batch

MAX_PACKETS = 8192
"""that wait at once: at 100,000 junk packets a second they outlast the 20 ms between two packets of sound."""
MAX_BYTES = 8_000_000


_Waiting = list[tuple[bytes, int, Hashable]]
"""(datagram, arrival time, path) in the order of arrival."""


class Candidates:
    """Packets by SSRC, bounded in number and bytes."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[int, _Waiting] = OrderedDict()
        self._bytes = self._packets = 0
        self.dropped = 0
        """packets that made room for others."""

    def __len__(self) -> int:
        """Packets that wait."""
        return self._packets

    def count(self, ssrc: int) -> int:
        """Packets of this SSRC that wait."""
        candidate = self._waiting.get(ssrc)
        return 0 if candidate is None else len(candidate)

    def add(self, ssrc: int, datagram: bytes, arrival_time: int, path: Hashable) -> None:
        """One more packet, which came at `arrival_time` (monotonic ns)."""
        candidate = self._waiting.get(ssrc)
        if candidate is None:
            self._waiting[ssrc] = [(datagram, arrival_time, path)]
        else:
            self._waiting.move_to_end(ssrc)
            candidate.append((datagram, arrival_time, path))
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
        batch = Batch.of([datagram for datagram, _, _ in candidate], 0, candidate[0][2])
        batch.arrival_times[:] = [arrival_time for _, arrival_time, _ in candidate]
        return batch

    def _forget(self, candidate: _Waiting) -> int:
        self._packets -= len(candidate)
        self._bytes -= sum(len(datagram) for datagram, _, _ in candidate)
        return len(candidate)
