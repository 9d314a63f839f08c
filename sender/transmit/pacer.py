"""When the packets of a frame leave: small frames at once, large ones spread out, to fit through short queues.

A burst of ten packets is what routers take in their stride. What a frame has beyond one burst leaves over its share of
a third of the frame interval; the last packet of an endless frame would leave after exactly that third.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

BURST = 10
"""packets that leave together."""


class Pacer:
    """The send times of one stream's packets; sans-IO, at most one frame waits in it."""

    def __init__(self, spread: int) -> None:
        """`spread`: ns that a large frame may take; 0 sends everything at once (audio)."""
        self._spread = spread
        self._waiting: deque[tuple[int, Sequence[bytes]]] = deque()

    def push(self, datagrams: Sequence[bytes], now: int) -> None:
        """Queue a frame's packets. What still waits of the frame before becomes due at once: delay never adds up."""
        self.flush(now)
        count = len(datagrams)
        bursts = -(-count // BURST)
        gap = self._spread * (count - BURST) // (count * (bursts - 1)) if bursts > 1 else 0
        for index in range(bursts):
            self._waiting.append((now + index * gap, datagrams[index * BURST : (index + 1) * BURST]))

    def flush(self, now: int) -> None:
        """Let everything that waits leave now."""
        self._waiting = deque((min(due, now), burst) for due, burst in self._waiting)

    def pop(self, now: int) -> list[Sequence[bytes]]:
        """The bursts that are due, in order."""
        due = []
        while self._waiting and self._waiting[0][0] <= now:
            due.append(self._waiting.popleft()[1])
        return due

    def next_time(self) -> int | None:
        """When the next burst is due, monotonic ns; None when nothing waits."""
        return self._waiting[0][0] if self._waiting else None
