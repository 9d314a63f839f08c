"""What is played where PCM is missing: the last pitch period again, fading to silence (as in G.711 Appendix I)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_HISTORY = 0.040
_SHORTEST_PERIOD, _LONGEST_PERIOD = 0.005, 0.015
"""s: voices of 66 to 200 Hz; a higher one repeats several of its periods."""
_HOLD, _FADE = 0.010, 0.070
"""s at full level, then down to silence."""
_JOIN = 0.004
"""s of cross-fade where sound comes back."""


class Concealment:
    """Remembers the end of what was played, and goes on from it."""

    def __init__(self, rate: int, channels: int) -> None:
        self._rate = rate
        self._history = np.zeros((round(_HISTORY * rate), channels), np.float32)
        self._lost = 0
        """frames made up since the last real one."""
        self._period = 0

    def hear(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Real sound: the same, its start cross-faded with the made-up sound when some was played before it."""
        if self._lost:
            count = min(round(_JOIN * self._rate), len(samples))
            rise = np.linspace(0, 1, count, endpoint=False, dtype=np.float32)[:, None]
            samples = np.concatenate([samples[:count] * rise + self._continue(count) * (1 - rise), samples[count:]])
            self._lost = 0
        self._history = np.concatenate([self._history, samples])[-len(self._history) :]
        return samples

    def conceal(self, frames: int) -> NDArray[np.float32]:
        """`frames` of made-up sound, shape (frames, channels)."""
        if not self._lost:
            self._period = _pitch_period(self._history.mean(axis=1), self._rate)
        made_up = self._continue(frames)
        self._lost += frames
        return made_up

    def _continue(self, frames: int) -> NDArray[np.float32]:
        ages = self._lost + np.arange(frames)
        levels = np.clip(1 - (ages / self._rate - _HOLD) / _FADE, 0, 1).astype(np.float32)
        return self._history[len(self._history) - self._period + ages % self._period] * levels[:, None]


def _pitch_period(signal: NDArray[np.float32], rate: int) -> int:
    """The lag, in frames, at which the end of `signal` resembles what came before it most (normalised correlation)."""
    shortest, longest = round(_SHORTEST_PERIOD * rate), round(_LONGEST_PERIOD * rate)
    window = len(signal) - longest
    template = signal[longest:].astype(np.float64)
    products = np.correlate(signal[: -shortest or None].astype(np.float64), template)
    energies = np.convolve(signal[: -shortest or None].astype(np.float64) ** 2, np.ones(window), "valid")
    return longest - int(np.argmax(products / np.sqrt(energies + 1e-9)))
