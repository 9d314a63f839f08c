"""How much slower the sender's clock runs than this one, from the transits of each second.

Three lines are laid through a history and the surest one is taken, by the standard error of its slope:

- through the lowest fifth of the least transits, each second's fastest packet, found from two first guesses. Delay only
  adds to the least transit, so these lie close to a line wherever some packets meet an empty queue, and neither
  congestion nor a change of route in between moves it;
- through the mean transits, which are better where delay varies to both sides and no packet is ever undelayed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.float64]

_FEWEST = 8
_SHARE = 5
"""the lowest of this many least transits is believed to be the least possible."""
_CHOSEN = 6.0
"""by how much points chosen because they lie on a line lie closer to it than they should."""
_ROUNDS = 5
_UNSURE = 50e-6
"""a slope with a larger error is none."""


def slope(times: Column, least: Column, mean: Column, guess: float) -> float | None:
    """Growth of the transit: seconds by which it grows in a second.

    `times`, `least`, `mean`: of each second, shape (n,), ascending, all in one unit; `guess`: what was believed so far.
    None where the history is too short, or its lines too uncertain.
    """
    if len(times) < _FEWEST or times[-1] <= times[0]:
        return None
    lines = [_through_means(times, mean)]
    lines += [_through_lowest(times, least, first) for first in (_median_slope(times, least), lines[0][1], guess)]
    error, found = min(lines)
    return found if error <= _UNSURE else None


def _through_means(times: Column, levels: Column) -> tuple[float, float]:
    """Least squares. What queues leave in one second they leave in the next: such seconds count for fewer."""
    x, y = times - times.mean(), levels - levels.mean()
    spread = float(x @ x)
    steep = float(x @ y) / spread
    rest = y - steep * x
    power = float(rest @ rest)
    alike = min(0.95, max(0.0, float(rest[1:] @ rest[:-1]) / power)) if power else 0.0
    return float(np.sqrt(power / (len(x) - 2) / spread * (1 + alike) / (1 - alike))), steep


def _through_lowest(times: Column, levels: Column, steep: float) -> tuple[float, float]:
    """Again and again through those that lie lowest above the line before, without regard to single ones among them:
    the median slope of all pairs (Theil, Sen), and its error by the median deviation."""
    count = min(len(times) - 1, max(_FEWEST, len(times) // _SHARE))
    for _ in range(_ROUNDS):
        lowest = np.argpartition(levels - steep * times, count)[:count]
        before, steep = steep, _pairs_slope(times[lowest], levels[lowest])
        if steep == before:
            break
    x, rest = times[lowest], levels[lowest] - steep * times[lowest]
    spread = float(np.sqrt(((x - x.mean()) ** 2).sum()))
    deviation = 1.4826 * float(np.median(np.abs(rest - np.median(rest))))
    return _CHOSEN * deviation / spread if spread else np.inf, steep


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
