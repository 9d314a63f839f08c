"""Statistical truth: pairs of runs through the seeded network, equal ones and ones that differ."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import combinations, product

import numpy as np
import pytest
from numpy.typing import NDArray

from receiver.compare.difference import Measured, compare, gilbert_elliott_effect, holm, series
from tests.support.clock import SECOND
from tests.support.netem import Conditions, GilbertElliott, Link

RATE = 100
RUNS = 26
SECONDS = 20
PACKET = bytes(12)
Fates = NDArray[np.bool_]

RANDOM, BURSTS = Conditions(loss=0.01), Conditions(bursts=GilbertElliott.of(0.01, 3))
LOOSE = GilbertElliott(p=0.0025, r=0.05, bad_loss=0.4)
"""losses close to each other, few of them in a row."""
APART = Conditions(bursts=LOOSE)


def lost(conditions: Conditions, seed: int, seconds: int) -> Fates:
    """Which of the packets of a run the network loses, shape (seconds * RATE,)."""
    link = Link(conditions, seed)
    return np.array([not link.send(PACKET, n * SECOND // RATE).arrivals for n in range(seconds * RATE)])


@cache
def fates(loss: float, bursts: GilbertElliott | None) -> tuple[Fates, ...]:
    """Of RUNS runs through one network."""
    return tuple(lost(Conditions(loss=loss, bursts=bursts), seed, SECONDS) for seed in range(RUNS))


def measured(run: Fates, *, intervals: bool = True, effect: float = 1.0) -> Measured:
    """As a report has it: a total, runs, and a row for each second."""
    rows = run.reshape(-1, RATE)
    parts = rows.sum(axis=1).astype(float), np.full(len(rows), float(RATE))
    edges = np.flatnonzero(np.diff(np.concatenate(([0], run.astype(int), [0]))))
    lengths, counts = np.unique(edges[1::2] - edges[::2], return_counts=True)
    runs = dict(zip(lengths.tolist(), counts.tolist(), strict=True))
    return Measured(float(run.sum()), float(len(run)), parts if intervals else None, runs, effect)


def alarms(conditions: Conditions, *, intervals: bool = True, effect: float = 1.0) -> float:
    """Share of pairs of runs through the same network in which a difference is seen at the 5 % level."""
    runs = [measured(run, intervals=intervals, effect=effect) for run in fates(conditions.loss, conditions.bursts)]
    return float(np.mean([compare(a, b).p_value <= 0.05 for a, b in list(combinations(runs, 2))[::2]]))


FALSE_ALARMS = 0.09
"""5 %, and what 26 runs paired with each other scatter."""


@pytest.mark.parametrize("conditions", [RANDOM, BURSTS, APART], ids=["random", "bursts", "apart"])
def test_equal_networks_rarely_seem_to_differ(conditions: Conditions) -> None:
    assert alarms(conditions) <= FALSE_ALARMS


@pytest.mark.parametrize("conditions", [RANDOM, BURSTS], ids=["random", "bursts"])
def test_nor_do_they_without_intervals(conditions: Conditions) -> None:
    assert alarms(conditions, intervals=False) <= FALSE_ALARMS


def test_bursts_of_single_losses_without_intervals_need_the_fitted_model() -> None:
    effect = gilbert_elliott_effect(LOOSE.p, LOOSE.r, LOOSE.bad_loss, 0.0)
    assert alarms(APART, intervals=False, effect=effect) <= FALSE_ALARMS
    assert alarms(APART, intervals=False) > 0.2  # what the effect is there for


def test_a_doubled_loss_is_seen() -> None:
    """40 lost packets against 20 stand out, and 54 bursts against 27: with half the bursts hardly anything would."""
    pairs = list(zip(fates(0.01, None), fates(0.02, None), strict=True))
    assert np.mean([compare(measured(a), measured(b)).p_value <= 0.05 for a, b in pairs]) > 0.6
    ones, others = (
        [measured(np.concatenate(runs[at : at + 4])) for at in range(0, RUNS - 3, 4)]
        for runs in (fates(0.0, BURSTS.bursts), fates(0.0, GilbertElliott.of(0.02, 3)))
    )
    assert np.mean([compare(a, b).p_value <= 0.05 for a, b in product(ones, others)]) > 0.4


def test_the_design_effect_of_a_model_is_the_variance_it_makes() -> None:
    """Against the spread of the loss of many runs of the seeded network."""
    shares = lost(Conditions(bursts=GilbertElliott.of(0.05, 5)), 1, seconds=1200).reshape(240, -1).mean(axis=1)
    effect = shares.var(ddof=1) / (0.05 * 0.95 / 500)
    assert gilbert_elliott_effect(0.2 * 0.05 / 0.95, 0.2, 1.0, 0.0) == pytest.approx(effect, rel=0.3)
    assert gilbert_elliott_effect(0.01, 0.99, 1.0, 0.0) == 1.0


def test_the_interval_covers_the_true_difference() -> None:
    pairs = zip(fates(0.01, None), fates(0.02, None), strict=True)
    differences = [compare(measured(a), measured(b)) for a, b in pairs]
    assert sum(each.low <= 0.01 <= each.high for each in differences) >= RUNS - 4


def test_fisher_as_published() -> None:
    # Fisher's tea: 3 of 4 against 1 of 4, two-sided 0.4857 (Agresti, Categorical Data Analysis, §3.5.2).
    assert compare(Measured(3, 4), Measured(1, 4)).p_value == pytest.approx(0.4857, abs=1e-4)


def test_holm_as_published() -> None:
    # Holm 1979; the example of R's p.adjust: 0.01, 0.02, 0.03, 0.04 of four tests.
    assert holm([0.01, 0.04, 0.03, 0.02]) == pytest.approx([0.04, 0.06, 0.06, 0.06])
    assert holm([]) == []


def step(slow: bool) -> Callable[[np.random.Generator], NDArray[np.float64]]:
    def draw(rng: np.random.Generator) -> NDArray[np.float64]:
        noise = rng.normal(0, 1, 60)
        return np.convolve(rng.normal(0, 1, 80), np.ones(8), "valid")[:60] if slow else noise

    return draw


@pytest.mark.parametrize("slow", [False, True])
def test_delays_that_wander_are_no_difference(slow: bool) -> None:
    rng, draw = np.random.default_rng(3), step(slow)
    p_values = []
    for _ in range(100):
        a, b = series((20 + draw(rng)).tolist()), series((20 + draw(rng)).tolist())
        assert a is not None
        assert b is not None
        p_values.append(compare(a, b).p_value)
    assert np.mean(np.array(p_values) <= 0.05) <= (0.15 if slow else 0.09)


def test_the_same_question_has_the_same_answer() -> None:
    a, b = measured(fates(0.01, None)[0]), measured(fates(0.02, None)[1])
    assert compare(a, b) == compare(a, b)
    assert compare(a, a).p_value == 1.0
