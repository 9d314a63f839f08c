"""Which holes between pictures were repair packets: where media and repair share one numbering, a number that did not
come may have been no media, and then the pictures around it are whole."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from receiver.jitter.buffer import Frame

_REMEMBERED = 2048
"""numbers of media that repair packets have named."""
_STEPS, _ENOUGH = 31, 3
"""steps from picture to picture that are remembered, and those that make a rule."""
_MOST = 48
"""numbers missing in a hole that may have been repair."""
_SAME = 1.5
"""of the usual step: with more a picture is missing between."""


class Holes:
    """Of one stream of pictures. A hole is taken for repair where the timestamps leave no room for another picture, and
    no repair packet names one of its numbers as media."""

    def __init__(self) -> None:
        self._media: set[int] = set()
        self._gone: list[int] = []
        """of the numbers missing since the last picture, the first,"""
        self._missing = 0
        """and how many there are."""
        self._last: int | None = None
        self._steps: deque[int] = deque(maxlen=_STEPS)

    def protects(self, numbers: list[int]) -> None:
        """A repair packet came that covers these."""
        self._media.update(numbers)
        if len(self._media) > 2 * _REMEMBERED:
            self._media = set(sorted(self._media)[-_REMEMBERED:])

    def place(self, frame: Frame) -> Frame | None:
        """This frame, the next in order, with what is missing of pictures before it; None for one without media: what
        is missing there is said before the next."""
        self._miss(range(frame.first - frame.lost_before, frame.first))
        if not any(frame.payloads):
            self._miss([frame.first + at for at, payload in enumerate(frame.payloads) if payload is None])
            return None
        step = None if self._last is None else frame.timestamp - self._last
        lost = 0 if self._only_repair(step) else self._missing
        if step is not None and step > 0:
            self._steps.append(step)
        self._last, self._gone, self._missing = frame.timestamp, [], 0
        return replace(frame, lost_before=lost)

    def _miss(self, numbers: Sequence[int]) -> None:
        self._gone += numbers[: max(0, _MOST - len(self._gone))]
        self._missing += len(numbers)

    def _only_repair(self, step: int | None) -> bool:
        """Whether what is missing lies between a picture and the very next, and may all have been repair packets."""
        if step is None or len(self._steps) < _ENOUGH:
            return False
        unnamed = self._missing <= _MOST and self._media.isdisjoint(self._gone)
        return unnamed and 0 < step <= _SAME * median(self._steps)
