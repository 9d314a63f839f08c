"""Where a waveform resembles itself, and how two stretches of it are joined there so that nobody hears it.

Concealment and time-scale modification both stand on this: a voice repeats itself from one pitch period to the next.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float32]
"""shape (frames, channels)."""

_COARSE_RATE = 8000
"""Hz at which a match is sought first; voices and their first harmonics are below 4 kHz."""
_TINY = 1e-9


def best_match(template: Sound, region: Sound, rate: int) -> tuple[int, float]:
    """The index in `region` from which it resembles `template` most, and their normalised correlation there, -1 to 1.

    One index for all channels. `region` must be at least as long as `template`.
    """
    factor = max(1, rate // _COARSE_RATE)
    rough = int(np.argmax(_correlations(_thinned(template, factor), _thinned(region, factor)))) * factor
    first = max(0, rough - factor)
    near = region[first : rough + factor + len(template)]
    fine = _correlations(template, near)
    best = int(np.argmax(fine))
    return first + best, float(fine[best])


def _thinned(sound: Sound, factor: int) -> Sound:
    """The means of `factor` frames each; of a rest, nothing."""
    if factor == 1:
        return sound
    whole = len(sound) // factor
    means: Sound = sound[: whole * factor].reshape(whole, factor, -1).mean(axis=1)
    return means


def _correlations(template: Sound, region: Sound) -> NDArray[np.float64]:
    """Normalised correlation of `template` with `region` from each index on."""
    sought, among = template.astype(np.float64), region.astype(np.float64)
    products = np.sum([np.correlate(a, s) for a, s in zip(among.T, sought.T, strict=True)], axis=0)
    sums = np.concatenate([[0.0], np.cumsum(np.square(among).sum(axis=1))])
    energies = (sums[len(sought) :] - sums[: -len(sought)]) * np.square(sought).sum()
    correlations: NDArray[np.float64] = np.clip(products / np.sqrt(np.maximum(energies, 0) + _TINY), -1, 1)
    return correlations


def cross_fade(outgoing: Sound, incoming: Sound, correlation: float = 1.0) -> Sound:
    """From the one to the other, both of the same length, at a loudness that stays the same: sounds that have nothing
    to do with each other (correlation 0) add up to less than equal ones."""
    rise = ((np.arange(len(outgoing), dtype=np.float32) + 0.5) / max(1, len(outgoing)))[:, None]
    fall = 1 - rise
    power = rise**2 + fall**2 + (2 * max(0.0, correlation)) * (rise * fall)
    faded: Sound = ((outgoing * fall + incoming * rise) / np.sqrt(power)).astype(np.float32, copy=False)
    return faded
