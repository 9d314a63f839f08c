"""Whether two measured figures differ by more than chance: losses come in bursts, so packets are no independent draws.

With enough intervals on both sides, whole intervals are exchanged between the two runs at random, again and again (a
permutation test on the studentized difference; Janssen 1997): what happens inside an interval stays together, however
bursty it is. Neighbouring intervals that resemble each other are joined first. Without intervals, packets count as
fewer than they are, by as much as runs of losses and the fitted Gilbert-Elliott model ask for (the design effect, Kish
1965): a worse substitute, because runs that are close to each other are no independent draws either.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FEWEST = 8
"""intervals on each side that are exchanged; with fewer, chance cannot be told from much."""
LEFT = 6
"""intervals that remain at least where neighbours are joined."""
MOST = 200
ROUNDS = 4999
ALIKE = 0.1
"""autocorrelation from which neighbouring intervals are joined."""
COVERED = 0.9
"""share of all packets that the intervals must speak of."""
_Z = 1.959964

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Measured:
    """One figure of one run: `hits` of `count`, or the mean of a series, where each value counts once."""

    hits: float
    count: float
    parts: tuple[Floats, Floats] | None = None
    """(hits, count) of each interval, in order; None: not known."""
    runs: Mapping[int, int] | None = None
    """length of a run of hits → how many; None: not known."""
    effect: float = 1.0
    """the design effect at least, where something else says so."""

    @property
    def value(self) -> float:
        return self.hits / self.count


@dataclass(frozen=True, slots=True)
class Difference:
    """Of the second run from the first."""

    low: float
    high: float
    """95 % confidence interval of second − first."""
    p_value: float
    """probability of such a difference, or a larger one, by chance alone."""
    method: str
    """intervals exchanged, or runs counted."""


def compare(first: Measured, second: Measured, seed: int = 1) -> Difference:
    """Raises nothing; both counts are above 0. The same input gives the same answer."""
    parts = _usable(first), _usable(second)
    if parts[0] is not None and parts[1] is not None:
        return _exchanged(parts[0], parts[1], seed)
    return _counted(first, second)


def series(values: Sequence[float | None]) -> Measured | None:
    """The mean of a figure's values in each interval; None without any."""
    known = np.array([value for value in values if value is not None], np.float64)
    if not len(known):
        return None
    return Measured(float(known.sum()), float(len(known)), (known, np.ones(len(known))))


def holm(p_values: Sequence[float]) -> list[float]:
    """Each adjusted for the number of comparisons made (Holm 1979), in the order given."""
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


# Intervals


def _usable(measured: Measured) -> tuple[Floats, Floats] | None:
    if measured.parts is None:
        return None
    hits, counts = (part[measured.parts[1] > 0] for part in measured.parts)
    if len(counts) < FEWEST or counts.sum() < COVERED * measured.count:
        return None
    joined = -(-len(counts) // MOST)
    hits, counts = _joined(hits, joined), _joined(counts, joined)
    while len(counts) >= 2 * LEFT and _autocorrelation(hits, counts) > ALIKE:
        hits, counts = _joined(hits, 2), _joined(counts, 2)
    return hits, counts


def _joined(values: Floats, together: int) -> Floats:
    """Sums of so many neighbours; what is over joins the last."""
    number = max(1, len(values) // together)
    edges = np.arange(number) * together
    return np.add.reduceat(values, edges)


def _autocorrelation(hits: Floats, counts: Floats) -> float:
    """Of neighbouring intervals' deviations from the mean."""
    residuals = hits - hits.sum() / counts.sum() * counts
    square = float(residuals @ residuals)
    return 0.0 if square <= 0 else float(residuals[1:] @ residuals[:-1]) / square


def _exchanged(first: tuple[Floats, Floats], second: tuple[Floats, Floats], seed: int) -> Difference:
    size = len(first[0])
    hits, counts = np.concatenate((first[0], second[0])), np.concatenate((first[1], second[1]))
    difference, error = _statistic(hits[None], counts[None], size)
    observed = _studentized(difference, error)[0]
    order = np.random.default_rng(seed).permuted(np.tile(np.arange(len(hits)), (ROUNDS, 1)), axis=1)
    chance = _studentized(*_statistic(hits[order], counts[order], size))
    as_large = int(np.count_nonzero(np.abs(chance) >= abs(observed) * (1 - 1e-9)))
    half = _Z * float(error[0])
    middle = float(difference[0])
    return Difference(middle - half, middle + half, (1 + as_large) / (1 + ROUNDS), "intervals exchanged")


def _statistic(hits: Floats, counts: Floats, size: int) -> tuple[Floats, Floats]:
    """Of rows of intervals, the first `size` of each the first run's: (difference of the shares, standard error)."""
    shares, variances = [], []
    for part in (slice(None, size), slice(size, None)):
        x, n = hits[:, part], counts[:, part]
        total, number = n.sum(axis=1), x.shape[1]
        share = x.sum(axis=1) / total
        deviations = x - share[:, None] * n
        shares.append(share)
        variances.append(number / (number - 1) * (deviations**2).sum(axis=1) / total**2)
    return shares[1] - shares[0], np.sqrt(variances[0] + variances[1])


def _studentized(difference: Floats, error: Floats) -> Floats:
    """Where nothing varies, any difference is certain."""
    least = 1e-12 + 1e-9 * np.abs(difference)
    return difference / np.maximum(error, least)


# Runs


def _counted(first: Measured, second: Measured) -> Difference:
    effect = max(first.effect, second.effect, _design_effect(first, second))
    x, n, y, m = (number / effect for number in (first.hits, first.count, second.hits, second.count))
    half = _Z * math.sqrt(_variance(x, n) + _variance(y, m))
    middle = second.value - first.value
    return Difference(middle - half, middle + half, _fisher(round(x), round(n), round(y), round(m)), "runs counted")


def _design_effect(*measured: Measured) -> float:
    """By how much runs make the variance of a share larger than that of independent packets: E[L²]/E[L] of the run
    lengths of both, over what it would be for independent ones. One more run of twice the mean length stands for the
    long ones that so few have not shown."""
    runs = Counter[int]()
    for each in measured:
        runs.update(each.runs or {})
    packets = sum(length * count for length, count in runs.items())
    if not packets:
        return 1.0
    longer = 2 * packets / runs.total()
    squares = sum(length * length * count for length, count in runs.items())
    share = sum(each.hits for each in measured) / sum(each.count for each in measured)
    ratio = (squares + longer**2) / (packets + longer)
    return max(1.0, ratio * (1 - share) / (1 + share))


def gilbert_elliott_effect(p: float, r: float, loss_in_bad: float, loss_in_good: float) -> float:
    """The design effect of a long run through the two-state model: 1 + 2 Σ of the losses' autocorrelations."""
    stays = 1 - p - r
    bad = p / (p + r) if p + r > 0 else 0.0
    share = bad * loss_in_bad + (1 - bad) * loss_in_good
    if not 0 < share < 1 or not 0 < stays < 1:
        return 1.0
    together = bad * (1 - bad) * (loss_in_bad - loss_in_good) ** 2
    return 1 + 2 * together * stays / (1 - stays) / (share * (1 - share))


def _variance(hits: float, count: float) -> float:
    """Of a share; Agresti and Coull's two more of each, so that 0 of n is no certainty."""
    share = (hits + 2) / (count + 4)
    return share * (1 - share) / (count + 4)


def _fisher(x: int, n: int, y: int, m: int) -> float:
    """Fisher's exact test, two-sided: all tables with these margins that are no more probable than this one."""
    hits, total = x + y, n + m
    low, high = max(0, hits - m), min(hits, n)
    table = np.arange(low, high + 1)
    logs = np.array([_choose(n, int(k)) + _choose(m, hits - int(k)) for k in table]) - _choose(total, hits)
    probabilities = np.exp(logs)
    return float(min(1.0, probabilities[logs <= logs[x - low] + 1e-7].sum()))


def _choose(n: int, k: int) -> float:
    """Logarithm of n over k."""
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
