"""What is played where sound is missing: the last pitch period again and again, fading to silence (the idea of G.711
Appendix I, without its delay)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from receiver.decode.waveform import Sound, best_match, cross_fade

HISTORY = 0.025
"""s of sound from which more is made."""
_SHORTEST_PERIOD, _LONGEST_PERIOD = 0.0025, 0.015
"""s: voices of 66 to 400 Hz; a higher one repeats several of its periods."""
_TEMPLATE = 0.006
"""s at the end of the history that the period must fit. A longer one fits better on the whole, and worse at the seam:
26 ms cost 0.4 of a PESQ score at 10 % loss."""
_HOLD, _SILENT = 0.010, 0.100
"""s after which made-up sound falls, and is silence."""
_FALL = 0.020
"""s in which a codec's own concealment falls to silence, after as long as made-up sound lasts."""
_JOIN = 0.005
"""s of cross-fade where sound comes back."""
_SEAM = 0.00125
"""s in which a step at the beginning is taken away."""


def continuation(history: Sound, rate: int) -> Sound:
    """100 ms of sound that goes on from the end of `history` (25 ms) in its pitch, and fades."""
    shortest, longest = round(_SHORTEST_PERIOD * rate), round(_LONGEST_PERIOD * rate)
    template = history[-round(_TEMPLATE * rate) :]
    index, _ = best_match(template, history[-len(template) - longest : -shortest], rate)
    period = longest - index
    ages = np.arange(round(_SILENT * rate))
    made_up = _cycle(history, period)[ages % period]
    _meet(made_up, history[-1] - history[-period - 1], round(_SEAM * rate))
    levels = np.clip((_SILENT - ages / rate) / (_SILENT - _HOLD), 0, 1).astype(np.float32)
    return made_up * levels[:, None]


def _cycle(history: Sound, period: int) -> Sound:
    """The last period, the end of which leads to its own beginning."""
    cycle = history[-period:].copy()
    overlap = period // 4
    cycle[-overlap:] = cross_fade(history[-overlap:], history[-period - overlap : -period])
    return cycle


def _meet(made_up: Sound, step: Sound, frames: int) -> None:
    """Takes away the step between what was played last and what follows it."""
    made_up[:frames] += step * np.linspace(1, 0, frames, dtype=np.float32)[:, None] ** 2


class Fading:
    """The loudness of sound that a codec makes up for itself: as it is for 100 ms, then falling to silence."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._made_up = 0
        """frames since sound came last."""

    def conceal(self, samples: Sound) -> Sound:
        """Sound that the codec made up."""
        ages = (self._made_up + np.arange(len(samples))) / self._rate
        self._made_up += len(samples)
        if ages[-1] <= _SILENT:
            return samples
        return samples * self._levels(ages)

    def hear(self, samples: Sound) -> Sound:
        """Sound that came: it rises within 5 ms if what was made up had fallen."""
        level = self._levels(np.array([self._made_up / self._rate]))
        self._made_up = 0
        if level == 1:
            return samples
        count = min(round(_JOIN * self._rate), len(samples))
        rise = np.linspace(level[0, 0], 1, count, endpoint=False, dtype=np.float32)[:, None]
        return np.concatenate([samples[:count] * rise, samples[count:]])

    @staticmethod
    def _levels(ages: NDArray[np.float64]) -> Sound:
        return np.clip(1 - (ages - _SILENT) / _FALL, 0, 1).astype(np.float32)[:, None]


class Concealment:
    """Remembers the end of what was played, and goes on from it."""

    def __init__(self, rate: int, channels: int) -> None:
        self._rate = rate
        self._history = np.zeros((round(HISTORY * rate), channels), np.float32)
        self._made_up: Sound | None = None
        """what is left of it; None while nothing is missing."""

    def hear(self, samples: Sound) -> Sound:
        """Real sound: the same, its start cross-faded with the made-up sound when some was played before it."""
        if self._made_up is not None:
            count = min(round(_JOIN * self._rate), len(samples))
            samples = np.concatenate([cross_fade(self._take(count), samples[:count]), samples[count:]])
            self._made_up = None
        self._remember(samples)
        return samples

    def conceal(self, frames: int) -> Sound:
        """`frames` of made-up sound, shape (frames, channels); 100 ms after the last real sound, silence."""
        if self._made_up is None:
            self._made_up = continuation(self._history, self._rate)
        samples = self._take(frames)
        self._remember(samples)
        return samples

    def _take(self, frames: int) -> Sound:
        assert self._made_up is not None
        taken, self._made_up = self._made_up[:frames], self._made_up[frames:]
        return np.concatenate([taken, np.zeros((frames - len(taken), taken.shape[1]), np.float32)])

    def _remember(self, samples: Sound) -> None:
        self._history = np.concatenate([self._history, samples])[-len(self._history) :]
