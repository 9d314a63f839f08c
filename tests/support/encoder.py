"""A model of an encoder in virtual time: it follows the session's limits from its next picture on, as sender.network
has real ones do, and its pictures differ in size as those of a real one."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from sender.events import KeyFrameRequested, RateLimited
from sender.transmit.rate import VideoRate
from tests.support.clock import SECOND
from tests.support.pair import Pair
from tests.support.traffic import Item, h264_frame

_KEY = 4
"""times the mean size."""
_REPAID = 12
"""pictures after which what a key frame took has been saved again."""


class Encoder:
    """H.264 of `ceiling` bit/s at most, with key frames on request alone. `video` may be asked for again, to go on."""

    def __init__(self, ceiling: int, *, fps: int = 30, seed: int = 1, unrest: float = 0.15) -> None:
        """`unrest`: standard deviation of a picture's size, in its mean."""
        self.rate = ceiling
        self._limits = VideoRate(ceiling)
        self._fps, self._random, self._unrest = fps, Random(seed), unrest
        self._number = self._seen = 0
        self._debt = 0.0
        self.rates: list[int] = []
        """of each picture, bit/s."""

    def video(self, pair: Pair, duration: int) -> Iterator[Item]:
        """The next pictures."""
        for index in range(duration * self._fps // SECOND):
            key_frame = self._listen(pair) or not self._number
            at = self._number * SECOND // self._fps
            data = h264_frame(self._number, self._size(key_frame), key_frame)
            yield Item(index * SECOND // self._fps, 0, data, at * 90_000 // SECOND, key_frame)
            self._number += 1

    def _listen(self, pair: Pair) -> bool:
        """Whether a key frame is wanted."""
        wanted = False
        for _, event in pair.sender_events[self._seen :]:
            if isinstance(event, RateLimited):
                self._limits.limit("path", event.bitrate)
            wanted |= isinstance(event, KeyFrameRequested)
        self._seen = len(pair.sender_events)
        self.rate = self._limits.take() or self.rate
        self.rates.append(self.rate)
        return wanted

    def _size(self, key_frame: bool) -> int:
        mean = self.rate / 8 / self._fps
        if key_frame:
            self._debt += (_KEY - 1) * mean
            return int(_KEY * mean)
        paid = min(self._debt, (_KEY - 1) * mean / _REPAID)
        self._debt -= paid
        return int((mean - paid) * max(0.3, self._random.gauss(1.0, self._unrest)))
