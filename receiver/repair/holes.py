"""Which holes between pictures were repair packets: where media and repair share one numbering, a number that did not
come may have been no media, and then the pictures around it are whole."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from statistics import median

from receiver.jitter.buffer import Frame

_REMEMBERED = 2048
"""numbers of media that repair packets have named."""
_STEPS, _ENOUGH = 31, 5
"""steps from picture to picture that are remembered, and those that make a rule."""
_SAME = 1.5
"""of the usual step: with more a picture is missing between."""


class Holes:
    """Of one stream of pictures. A hole is taken for repair where the timestamps leave no room for another picture, and
    no repair packet names one of its numbers as media."""

    def __init__(self) -> None:
        self._media: set[int] = set()
        self._carried: list[int] = []
        """numbers missing around repair packets since the last picture."""
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
        gone = [*range(frame.first - frame.lost_before, frame.first)]
        if not any(frame.payloads):
            self._carried += gone
            self._carried += [frame.first + at for at, payload in enumerate(frame.payloads) if payload is None]
            return None
        gone, self._carried = self._carried + gone, []
        step = None if self._last is None else frame.timestamp - self._last
        if gone and self._between(gone, step):
            gone = []
        if step is not None and step > 0:
            self._steps.append(step)
        self._last = frame.timestamp
        return replace(frame, lost_before=len(gone))

    def _between(self, gone: list[int], step: int | None) -> bool:
        """Whether these lie between a picture and the very next, and may all have been repair packets."""
        if step is None or len(self._steps) < _ENOUGH or not self._media.isdisjoint(gone):
            return False
        return 0 < step <= _SAME * median(self._steps)
