"""Which delay would have been best of late: fixed delays compete, and a mixture follows whichever is ahead.

Fixed share, Herbster and Warmuth, "Tracking the Best Expert", Machine Learning 32 (1998): each expert is a delay that
never moves. A frame costs it its delay, and more if the frame came too late for it; its weight falls by that cost, in
exponential measure. A small share of all weight is dealt out evenly each time, so that an expert whose time comes again
is soon ahead again. The mean of the experts by weight is never much dearer than the best sequence of delays that
changes now and then.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MILLISECOND = 1_000_000
_DELAYS: NDArray[np.float64] = np.append(np.arange(0.0, 40.0, 4.0), np.geomspace(40, 1000, 38)) * MILLISECOND
"""ns, those of the experts."""
_SHARE = 5 * MILLISECOND
"""ns of waiting whose cost is what the share dealt out evenly amounts to."""
_STEP = MILLISECOND
"""ns by which the least transit may have moved without the weights being moved along."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a frame costs whoever hears or sees it, in ns of waiting."""

    late: float = 0.0
    """once, when it came too late."""
    lateness: float = 0.0
    """for each ns by which it was too late."""
    decisive: float = 500.0 * MILLISECOND
    """a cost after which a weight is an e-th of what it was: how quickly the experts are judged."""

    def of(self, lateness: float) -> NDArray[np.float64]:
        """For each expert, of a frame that needed `lateness`."""
        excess = np.maximum(lateness - _DELAYS, 0)
        costs: NDArray[np.float64] = _DELAYS + self.late * (excess > 0) + self.lateness * excess
        return costs


class Experts:
    """A delay from the lateness of frames. Starts as after a long calm."""

    def __init__(self, cost: Cost) -> None:
        self._share = _SHARE / cost.decisive
        """of all weight, dealt out evenly with each frame."""
        seen = np.append(_DELAYS, 1.25 * _DELAYS[-1])
        self._factors = [np.exp(-cost.of(lateness) / cost.decisive) for lateness in seen]
        self._bounds: list[float] = _DELAYS.tolist()
        self._weights = _calm(self._factors[0], self._share)
        self._sums = np.vstack((np.ones_like(_DELAYS), _DELAYS))
        self._calm = self._mean = float(self._weights @ _DELAYS)
        self._even = float(_DELAYS.mean())
        self._moved = 0

    @property
    def best(self) -> float:
        """ns; 0 after a long calm, when what lies above is but the share dealt out, and the less of that is taken off
        the higher the mean."""
        return max(0.0, self._mean - self._calm**2 / self._mean)

    def observe(self, lateness: int) -> None:
        """A frame needed this delay, ns."""
        weights = self._weights
        weights *= self._factors[bisect_left(self._bounds, lateness)]
        total, moment = (self._sums @ weights).tolist()
        weights *= (1 - self._share) / total
        weights += self._share / len(self._bounds)
        self._mean = (1 - self._share) * moment / total + self._share * self._even

    def shift(self, slower: int) -> None:
        """Frames will seem to need so much less from now on, ns."""
        self._moved += slower
        if abs(self._moved) < _STEP:
            return
        below = np.concatenate(([0.0], np.cumsum(self._weights)))
        edges = np.concatenate(([0.0], (_DELAYS[1:] + _DELAYS[:-1]) / 2, _DELAYS[-1:]))
        moved = np.interp(edges + self._moved, edges, below)
        moved[0], moved[-1] = 0.0, below[-1]
        self._weights = np.diff(moved)
        self._mean = max(self._calm, float(self._weights @ _DELAYS) / below[-1])
        self._moved = 0


def _calm(factors: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """The weights that frames without any lateness leave as they are: those for which the total after one is `total`,
    found by bisection."""
    low, high = 1 - share, 1.0
    for _ in range(60):
        total = (low + high) / 2
        weights = share / len(factors) / (1 - (1 - share) * factors / total)
        low, high = (total, high) if weights.sum() > 1 else (low, total)
    normal: NDArray[np.float64] = weights / weights.sum()
    return normal
