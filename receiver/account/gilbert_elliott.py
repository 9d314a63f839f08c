"""The two-state loss model of Gilbert (1960) and Elliott (1963), fitted to the fates of closed numbers.

Before each packet the path goes from good to bad with probability p, or from bad to good with r; a packet is lost with
1 - k in the good state and with 1 - h in the bad one. The fit is the most likely model; its likelihood needs only the
lengths of the runs of received and of lost packets, so the newest RUNS of each are kept and nothing else. A stretch of
n packets of one fate is the n-th power of a 2×2 matrix, and the likelihood the product of all of them, taken pairwise.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from receiver.account.row import Row, Run

RUNS = 1024
FEWEST = 30
"""runs of lost packets below which no model is fitted."""
_EDGE = 1e-6
_STEPS = 40
_NORMAL = 1.959964
"""standard deviations on each side of a normal distribution that leave 2.5 % out."""
_CHI_SQUARE = 7.815
"""95 % quantile of χ² with 3 degrees of freedom: what a model without states must be worse by, twice in log."""

Matrix = NDArray[np.float64]
Sample = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimate with its 95 % confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class GilbertElliott:
    """Probabilities for each packet."""

    p: Estimate
    """good to bad."""
    r: Estimate
    """bad to good."""
    loss_in_bad: Estimate
    """1 - h."""
    loss_in_good: Estimate
    """1 - k."""


class LossRuns:
    """The newest runs of lost packets and what was received before each. Streaming, in constant memory.

    A fit costs some 50 ms, so a new sample is made known when there is a quarter more of it, and at the end.
    """

    def __init__(self) -> None:
        self.sample: Sample = ()
        """(received, then lost), …, last (received, 0): what `fit` takes."""
        self._row = Row()
        self._runs: deque[Run] = deque(maxlen=RUNS)
        self._before = 0
        """where the run before the oldest one kept ended."""
        self._count, self._next = 0, FEWEST

    def observe(self, flags: NDArray[np.bool_]) -> None:
        """The next fates, shape (n,): True where the packet was lost."""
        self._keep(self._row.add(flags))

    def good(self, count: int) -> None:
        """`count` packets in a row that arrived."""
        self._keep(self._row.clear(count))

    def bad(self, count: int) -> None:
        """`count` packets in a row that were lost."""
        self._row.set(count)

    def finish(self) -> None:
        """No fates follow."""
        rows, before = [], self._before
        for begin, end in (*self._runs, *self._row.open):
            rows.append((begin - before, end - begin))
            before = end
        self.sample = (*rows, (self._row.length - before, 0))

    def _keep(self, runs: list[Run]) -> None:
        for run in runs:
            if len(self._runs) == RUNS:
                self._before = self._runs[0][1]
            self._runs.append(run)
        self._count += len(runs)
        if self._count >= self._next:
            self._next = self._count * 5 // 4
            self.finish()


@lru_cache(maxsize=32)
def fit(sample: Sample) -> GilbertElliott | None:
    """The most likely model of a row.

    None where it holds too few runs of lost packets, or where they do not tell the model from independent losses.
    """
    if len(sample) <= FEWEST:
        return None
    runs = np.array(sample, np.float64)
    best = max((_climb(start, runs) for start in _starts(runs)), key=lambda found: found[1])
    theta, likelihood = best
    if 2 * (likelihood - _independent(runs)) < _CHI_SQUARE:
        return None
    return _intervals(theta, runs)


# -- the likelihood ---------------------------------------------------------------------------------------------


def log_likelihood(theta: Matrix, runs: Matrix) -> Matrix:
    """`theta`: (p, r, 1-h, 1-k), shape (m, 4); `runs`: shape (n, 2). Returns shape (m,)."""
    p, r, bad, good = (theta[:, i, None] for i in range(4))
    received = _power(p, r, 1 - good, 1 - bad, runs[:, 0])
    lost = _power(p, r, good, bad, runs[:, 1])
    matrices = _times(received, lost)
    logs = np.zeros(len(theta))
    while matrices.shape[-1] > 1:
        if matrices.shape[-1] % 2:
            matrices = np.concatenate((matrices, _identity(matrices)), axis=-1)
        matrices = _times(matrices[..., ::2], matrices[..., 1::2])
        scale = np.maximum(matrices.max(axis=0), 1e-300)
        matrices = matrices / scale
        logs += np.log(scale).sum(axis=-1)
    at_start = p[:, 0] / (p[:, 0] + r[:, 0])
    a, b, c, d = matrices[..., 0]
    total: Matrix = logs + np.log(np.maximum((1 - at_start) * (a + b) + at_start * (c + d), 1e-300))
    return total


def _times(x: Matrix, y: Matrix) -> Matrix:
    """Products of 2×2 matrices whose entries (row by row) are the first axis."""
    a, b, c, d = x
    e, f, g, h = y
    return np.stack((a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h))


def _identity(like: Matrix) -> Matrix:
    one, zero = np.ones(like.shape[1:-1])[..., None], np.zeros(like.shape[1:-1])[..., None]
    return np.stack((one, zero, zero, one))


def _power(p: Matrix, r: Matrix, good: Matrix, bad: Matrix, n: Matrix) -> Matrix:
    """(T·diag(good, bad))**n with T = [[1-p, p], [r, 1-r]], by its eigenvalues; shape (4, m, n)."""
    a, b, c, d = (1 - p) * good, p * bad, r * good, (1 - r) * bad
    middle, half = (a + d) / 2, np.sqrt(np.maximum(((a - d) / 2) ** 2 + b * c, 1e-24))
    larger, smaller = middle + half, middle - half
    big = np.exp(n * np.log(np.maximum(larger, 1e-300)))
    sign = np.sign(smaller)
    signs = np.where(n % 2 == 1, sign, np.abs(sign))  # sign ** n takes longer than all the rest
    small = np.where(n == 0, 1.0, signs * np.exp(n * np.log(np.maximum(np.abs(smaller), 1e-300))))
    x = (big - small) / (2 * half)
    y = (larger * small - smaller * big) / (2 * half)
    return np.stack((a * x + y, b * x, c * x, d * x + y))


def _independent(runs: Matrix) -> float:
    """Log-likelihood of the best model without states."""
    received, lost = runs.sum(axis=0)
    share = lost / (received + lost)
    return float(lost * np.log(share) + received * np.log1p(-share))


# -- the maximum ------------------------------------------------------------------------------------------------


def _starts(runs: Matrix) -> list[Matrix]:
    """Where the search begins: every run a visit to the bad state; or visits in which some packets get through."""
    received, lost = runs.sum(axis=0)
    n = len(runs) - 1
    simple = [n / (received + n), n / lost, 0.98, 1e-4]
    near = runs[1:-1, 0] < 16
    bursts = max(1.0, float(np.count_nonzero(~near)))
    inside = float(runs[1:-1, 0][near].sum())
    sparse = [bursts / received, bursts / (lost + inside), lost / (lost + inside + 1), 0.1 * lost / received]
    return [np.clip(np.array(start), 1e-4, 0.99) for start in (simple, sparse)]


def _climb(theta: Matrix, runs: Matrix) -> tuple[Matrix, float]:
    """Newton's method within the unit cube, damped after Levenberg; returns the maximum and its log-likelihood."""
    value, damping = float(log_likelihood(theta[None], runs)[0]), 1e-3
    for _ in range(_STEPS):
        slope, curvature = _derivatives(theta, runs)
        free = ~(((theta <= _EDGE) & (slope < 0)) | ((theta >= 1 - _EDGE) & (slope > 0)))
        if not free.any():
            break
        dampings = damping * 10.0 ** np.arange(-1, 5)
        candidates = np.stack([_step(theta, slope, curvature, free, by) for by in dampings])
        values = log_likelihood(candidates, runs)
        at = int(np.argmax(values))
        gain = float(values[at]) - value
        if gain > 0:
            theta, value, damping = candidates[at], float(values[at]), max(1e-9, dampings[at])
        else:
            damping *= 1e4
        if gain < 1e-6 and damping > 1e2:
            break
        if 0 <= gain < 1e-6:
            break
    return theta, value


def _step(theta: Matrix, slope: Matrix, curvature: Matrix, free: NDArray[np.bool_], damping: float) -> Matrix:
    scale = theta * (1 - theta)  # steps in log-odds: all four are of one size there
    gradient = (slope * scale)[free]
    hessian = -(curvature * np.outer(scale, scale))[np.ix_(free, free)]
    hessian += damping * np.diag(np.maximum(np.abs(np.diag(hessian)), 1e-3))
    change = np.zeros(4)
    change[free] = np.linalg.lstsq(hessian, gradient, rcond=None)[0]
    if change @ (slope * scale) < 0:  # not a hill here: go up all the same
        change[free] = gradient / max(1.0, float(np.abs(gradient).max())) / (1 + damping)
    moved: Matrix = np.clip(theta + np.clip(change, -2, 2) * scale, _EDGE, 1 - _EDGE)
    return moved


def _derivatives(theta: Matrix, runs: Matrix) -> tuple[Matrix, Matrix]:
    """Gradient (4,) and Hessian (4, 4) by differences, one-sided where the cube ends."""
    width = np.minimum(1e-4, 1e-2 * np.minimum(theta, 1 - theta)) + 1e-8
    centre = np.clip(theta, 2 * width, 1 - 2 * width)
    unit = np.diag(width)
    pairs = [(i, j) for i in range(4) for j in range(i)]
    points = [centre, *(centre + unit), *(centre - unit)]
    points += [centre + s * unit[i] + t * unit[j] for i, j in pairs for s, t in ((1, 1), (1, -1), (-1, 1), (-1, -1))]
    values = log_likelihood(np.stack(points), runs)
    up, down = values[1:5], values[5:9]
    slope = (up - down) / (2 * width)
    hessian = np.diag((up - 2 * values[0] + down) / width**2)
    for row, (i, j) in enumerate(pairs):
        pp, pm, mp, mm = values[9 + 4 * row : 13 + 4 * row]
        hessian[i, j] = hessian[j, i] = (pp - pm - mp + mm) / (4 * width[i] * width[j])
    return slope, hessian


# -- the intervals ----------------------------------------------------------------------------------------------


def _intervals(theta: Matrix, runs: Matrix) -> GilbertElliott | None:
    """From the curvature at the maximum: of p and r in log-odds; of the losses, which often are 0 or 1, as they are.
    One that lies at the edge is bounded on its other side alone, by the likelihood's fall."""
    slope, curvature = _derivatives(theta, runs)
    edge = (theta <= 10 * _EDGE) | (theta >= 1 - 10 * _EDGE)
    free = ~edge
    try:
        covariance = np.linalg.inv(-curvature[np.ix_(free, free)])
    except np.linalg.LinAlgError:
        return None
    variance = np.zeros(4)
    variance[free] = np.diag(covariance)
    if (variance[free] <= 0).any() or edge[:2].any():
        return None
    deviation = np.sqrt(variance)
    found = []
    for i, value in enumerate(theta.tolist()):
        if edge[i]:
            reach = _fall(abs(float(slope[i])), max(0.0, -float(curvature[i, i])))
            found.append(Estimate(round(value), 0.0, reach) if value < 0.5 else Estimate(1.0, 1 - reach, 1.0))
        elif i < 2:
            odds, wide = np.log(value / (1 - value)), _NORMAL * deviation[i] / (value * (1 - value))
            found.append(Estimate(value, *(float(1 / (1 + np.exp(-x))) for x in (odds - wide, odds + wide))))
        else:
            wide = _NORMAL * deviation[i]
            found.append(Estimate(value, max(0.0, float(value - wide)), min(1.0, float(value + wide))))
    return GilbertElliott(*found)


def _fall(slope: float, curvature: float) -> float:
    """How far from an edge the log-likelihood has fallen by 1.92 (χ² of 1 degree of freedom, 95 %)."""
    if curvature <= 0:
        return min(1.0, 1.92 / max(slope, 1e-9))
    return min(1.0, (-slope + float(np.sqrt(slope**2 + 2 * curvature * 1.92))) / curvature)
