"""How much slower the sender's clock runs than this one, from the transits of each second.

Lines are laid through a history and the surest one is taken, by the error each states of itself:

- through the least transits that lie lowest, each second's fastest packet: four of them, or more, found from several
  first guesses. Delay only adds to the least transit, so these lie close to a line wherever some packets meet an
  empty queue, and neither congestion nor a change of route in between moves it;
- through the mean transits, which are better where delay varies to both sides and no packet is ever undelayed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.float64]

_FEWEST = 8
_LOWEST = (24, 12, 6, 4)
"""how many of the least transits are believed to be the least possible: at which of these, the data say."""
_ROUNDS = 3
_STAMPS = 5_000.0
"""ns by which stamps and RTP ticks are coarse: no line is surer."""
_UNSURE = 50e-6
"""a slope with a larger error is none."""


class Slope(NamedTuple):
    """Ordered by error, so the least of several is the surest."""

    error: float
    """half the width of its 95 % interval."""
    value: float


def slope(times: Column, least: Column, mean: Column, packets: Column, guess: float) -> Slope | None:
    """Growth of the transit: seconds by which it grows in a second.

    `times`, `least`, `mean` (ns), `packets` (how many): of each second, shape (n,), `times` ascending; `guess`: what
    was believed so far. None where the history is too short, or its lines too uncertain.
    """
    if len(times) < _FEWEST or times[-1] <= times[0]:
        return None
    through_means = _through_means(times, mean, packets)
    lines = [through_means]
    for first in (_median_slope(times, least), through_means.value, guess):
        lines += _through_lowest(times, least, first)
    surest = min(lines)
    return surest if surest.error <= _UNSURE else None


def _through_means(times: Column, levels: Column, packets: Column) -> Slope:
    """Least squares. A second of few packets counts for less. What queues leave in one second they leave in the next:
    such seconds count for fewer."""
    weights = np.minimum(packets, np.median(packets))
    weights = weights / weights.sum()
    x, y = times - weights @ times, levels - weights @ levels
    spread = float(weights @ x**2)
    steep = float(weights @ (x * y)) / spread
    rest = (y - steep * x) * np.sqrt(weights)
    power = float(rest @ rest)
    alike = min(0.95, max(0.0, float(rest[1:] @ rest[:-1]) / power)) if power else 0.0
    return Slope(2 * float(np.sqrt(power / (len(x) - 2) / spread * (1 + alike) / (1 - alike))), steep)


def _through_lowest(times: Column, levels: Column, steep: float) -> list[Slope]:
    """Again and again through those that lie lowest above the line before, and through fewer and fewer of them: the
    median slope of all pairs (Theil, Sen)."""
    lines = []
    for count in _LOWEST:
        if count >= len(times):
            continue
        for _ in range(_ROUNDS):
            lowest = np.argpartition(levels - steep * times, count)[:count]
            before, steep = steep, _pairs_slope(times[lowest], levels[lowest])
            if steep == before:
                break
        x, rest = times[lowest], levels[lowest] - steep * times[lowest]
        spread = float(np.sqrt(((x - x.mean()) ** 2).sum()))
        height = max(_STAMPS, float(rest.max() - rest.min()))
        lines.append(Slope(_doubt(count) * height / spread if spread else np.inf, steep))
    return lines


def _doubt(count: int) -> float:
    """The error of a line through so many lowest points, by the height they cover and the spread of their times.

    They were chosen because they lie on a line, and the fewer they are the easier one is found. From trials: 95 of 100
    are nearer to the truth, whether delays are normal, uniform, gamma or exponential, with overtaking or without.
    """
    return 1.5 + (7 / (count - 2)) ** 2


def _pairs_slope(times: Column, levels: Column) -> float:
    run = times[:, None] - times
    apart = run > 0
    return float(np.median((levels[:, None] - levels)[apart] / run[apart])) if apart.any() else 0.0


def _median_slope(times: Column, levels: Column) -> float:
    """Of points half the history apart (Theil's incomplete method): single outliers do not move it."""
    half = len(times) // 2
    run = times[half:] - times[: len(times) - half]
    rise = levels[half:] - levels[: len(times) - half]
    apart = run > 0
    return float(np.median(rise[apart] / run[apart])) if apart.any() else 0.0
