"""How much faster or slower to play, so that the sender's clock is followed and nobody hears it."""

from __future__ import annotations

from dataclasses import dataclass

MAX_RATE = 0.005
_DEAD_BAND = 0.0015
_SMOOTHING = 1.0
_GAIN = 0.2
"""per s: an error is gone in about 15 s, and clocks 200 ppm apart leave 1 ms beside the dead band, so that no integral,
which would overshoot after every change of delay, is needed."""


@dataclass(slots=True)
class ClockFollower:
    """A proportional controller with a dead band: seconds behind in, playing rate out, exactly 1 until there is a
    reason."""

    error: float = 0.0
    """smoothed, s; positive: behind."""

    def update(self, error: float, elapsed: float) -> float:
        self.error += (error - self.error) * min(1.0, elapsed / _SMOOTHING)
        excess = self.error - min(max(self.error, -_DEAD_BAND), _DEAD_BAND)
        return 1.0 + min(max(_GAIN * excess, -MAX_RATE), MAX_RATE)

    def settle(self) -> None:
        """The error was removed at one stroke."""
        self.error = 0.0
