"""Who is due when: so that a turn costs by those who have something to do, and not by all there are."""

from __future__ import annotations

import heapq


class Agenda:
    """One moment for each key, monotonic ns."""

    def __init__(self) -> None:
        self._moments: dict[int, int] = {}
        self._heap: list[tuple[int, int]] = []
        """(moment, key); those that no longer are the key's moment are passed over."""

    def set(self, key: int, moment: int | None) -> None:
        """When this one is due next; None: never."""
        if moment is None:
            self._moments.pop(key, None)
        elif self._moments.get(key) != moment:
            self._moments[key] = moment
            heapq.heappush(self._heap, (moment, key))

    def take(self, now: int) -> list[int]:
        """Those who are due, each once; they are not until they are set again."""
        due = []
        while self._heap and self._heap[0][0] <= now:
            moment, key = heapq.heappop(self._heap)
            if self._moments.get(key) == moment:
                del self._moments[key]
                due.append(key)
        return due

    def next_time(self) -> int | None:
        """When the first is due; None: nobody ever is."""
        while self._heap and self._moments.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None
