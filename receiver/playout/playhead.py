"""Where playing stands in the sound that was pushed, between two samples if need be, and how it is read from there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from receiver.playout.follower import MAX_RATE
from receiver.playout.resample import Interpolator
from receiver.playout.ring import SampleRing

_ROOM = 7
"""s of sound kept: what is ahead, and the longest push."""


class Playhead:
    """A position on the sender's time line. `step` is in source samples for each frame of the device; while it is 1 and
    the position a whole number, samples are copied as they are."""

    def __init__(self, rate: int, channels: int) -> None:
        """`rate`: the device's, Hz."""
        self.rate = self.source_rate = rate
        self.channels = channels
        self.fraction = 0.0
        """how far beyond `position` the next frame lies."""
        self._interpolator = Interpolator(rate, rate)
        self.start(rate, 0)

    def start(self, source_rate: int, timestamp: int) -> None:
        """Other sound, of which nothing is there yet, begins at `timestamp`."""
        if source_rate != self.source_rate:
            self._interpolator = Interpolator(source_rate, self.rate)
        self.source_rate = source_rate
        self.ring = SampleRing(_ROOM * source_rate, self.channels, timestamp)
        self.first = timestamp
        """where it began."""
        self.move_to(timestamp)

    def move_to(self, position: int) -> None:
        """To a sample."""
        self.position, self.fraction = position, 0.0

    def skip(self, samples: int) -> None:
        """Leaves samples out."""
        self.position += samples

    def advance(self, step: float, frames: int) -> None:
        """Past what was rendered."""
        position = self.fraction + step * frames
        self.position += int(position)
        self.fraction = position - int(position)

    @property
    def end(self) -> int:
        """One past the last sample that was pushed."""
        return self.ring.end

    @property
    def ahead(self) -> int:
        """Samples pushed and not played."""
        return self.ring.end - self.position

    @property
    def margin(self) -> int:
        """Samples at the end of what was pushed that cannot be played between samples yet."""
        return self._interpolator.half

    def exact(self, step: float) -> bool:
        """Whether samples are copied as they are."""
        return step == 1.0 and self.fraction == 0.0

    def spare(self, step: float) -> int:
        """Samples that could be played now."""
        return self.ahead - (0 if self.exact(step) else self.margin)

    def needed(self, frames: int) -> int:
        """Samples that `frames` take at the nominal rate, and the little more that following a clock may take."""
        step = self.source_rate / self.rate
        if self.exact(step):
            return frames
        return self._interpolator.reach(self.fraction, step * (1 + MAX_RATE), frames)

    def ready(self, step: float, frames: int) -> int:
        """How many of `frames` the pushed samples suffice for."""
        if self.exact(step):
            return min(frames, max(0, self.ahead))
        usable = (self.ahead - self.margin - 1 - self.fraction) / step + 1
        return int(min(frames, max(0, usable)))

    def render(self, step: float, frames: int) -> NDArray[np.float32]:
        """The next `frames`, shape (frames, channels), without moving on; they must be ready."""
        if not frames:
            return np.zeros((0, self.channels), np.float32)
        if self.exact(step):
            return self.ring.view(self.position, self.position + frames)
        before = self.margin
        reach = self._interpolator.reach(self.fraction, step, frames)
        source = self.ring.view(self.position - before, self.position + reach)
        return self._interpolator.read(source, before + self.fraction, step, frames)
