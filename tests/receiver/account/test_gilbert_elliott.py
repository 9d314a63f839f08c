"""The fit against the seeded network, whose model and parameters are known, and against the textbook recursion."""

from __future__ import annotations

import numpy as np
import pytest

from receiver.account.gilbert_elliott import RUNS, LossRuns, fit, log_likelihood
from tests.support.netem import Conditions, GilbertElliott, Link

SEEDS = 20


def network(model: GilbertElliott, packets: int, seed: int) -> np.ndarray:
    """Which packets the network's log says were lost."""
    link = Link(Conditions(bursts=model), seed)
    return np.array([not link.send(b"\x80" * 12, n).arrivals for n in range(packets)])


def sample(flags: np.ndarray, size: int = 500) -> tuple[tuple[int, int], ...]:
    runs = LossRuns()
    for piece in np.split(flags, range(size, len(flags), size)):
        if piece.any():
            runs.observe(piece)
        else:
            runs.good(len(piece))
    runs.finish()
    return runs.sample


@pytest.mark.parametrize(
    ("model", "packets"),
    [
        (GilbertElliott.of(0.03, 4), 15_000),
        (GilbertElliott(p=0.01, r=0.1, bad_loss=0.6, good_loss=0.002), 15_000),
        (GilbertElliott(p=0.02, r=0.25, bad_loss=0.9), 5_000),
    ],
)
def test_the_networks_parameters_lie_within_the_intervals(model: GilbertElliott, packets: int) -> None:
    # 80 intervals of 95 %: fewer than 68 of them right has a probability below 1e-4
    truth = (model.p, model.r, model.bad_loss, model.good_loss)
    right = 0
    for seed in range(SEEDS):
        found = fit(sample(network(model, packets, seed)))
        assert found is not None
        for interval, value in zip((found.p, found.r, found.loss_in_bad, found.loss_in_good), truth, strict=True):
            assert interval.low <= interval.value <= interval.high
            right += interval.low <= value <= interval.high
    assert right >= 68


def test_intervals_narrow_with_more_losses() -> None:
    flags = network(GilbertElliott.of(0.03, 4), 40_000, 1)
    few, many = fit(sample(flags[:8_000])), fit(sample(flags))
    assert few is not None
    assert many is not None
    assert many.r.high - many.r.low < 0.7 * (few.r.high - few.r.low)
    assert many.r.high - many.r.low < 0.1


def test_the_likelihood_is_that_of_the_forward_recursion() -> None:
    p, r, bad, good = theta = (0.03, 0.2, 0.7, 0.05)
    flags = network(GilbertElliott(p, r, bad, good), 700, 5)
    in_good, in_bad, expected = r / (p + r), p / (p + r), 0.0
    for lost in flags.tolist():
        in_good, in_bad = in_good * (1 - p) + in_bad * r, in_good * p + in_bad * (1 - r)
        in_good, in_bad = in_good * (good if lost else 1 - good), in_bad * (bad if lost else 1 - bad)
        total = in_good + in_bad
        expected, in_good, in_bad = expected + np.log(total), in_good / total, in_bad / total
    found = log_likelihood(np.array([theta]), np.array(sample(flags), float))
    assert found[0] == pytest.approx(expected, rel=1e-9)


def test_independent_losses_fit_no_model_with_states() -> None:
    none = sum(fit(sample(np.random.default_rng(seed).random(10_000) < 0.02)) is None for seed in range(20))
    assert none >= 17  # 5 % are taken for bursts by chance


def test_few_losses_fit_nothing() -> None:
    flags = np.zeros(10_000, bool)
    flags[100:5_000:200] = True
    assert fit(sample(flags)) is None
    assert fit(LossRuns().sample) is None


def test_only_the_newest_runs_are_kept_and_they_follow_each_other() -> None:
    flags = np.tile([False, False, True, True, True], 3 * RUNS)
    runs = LossRuns()
    runs.bad(1_000)
    runs.observe(flags)
    runs.good(9)
    runs.finish()
    assert runs.sample == (*[(2, 3)] * RUNS, (9, 0))


def test_a_new_sample_is_told_when_there_is_a_quarter_more() -> None:
    runs, told = LossRuns(), []
    for _ in range(200):
        runs.observe(np.array([True, False, False]))
        told.append(runs.sample)
    assert len({id(sample) for sample in told}) < 14
    assert len(told[-1]) > 150
