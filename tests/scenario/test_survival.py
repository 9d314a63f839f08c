"""Bad networks in virtual time, beside what is asked of the stream on them; whole programs and rivals run in
tests/bench/resilience.py."""

from __future__ import annotations

import numpy as np
import pytest

from tests.scenario.survival import Survival, survive

SEEDS = 1, 2
SECONDS = 30


def pooled(case: str, *, sound: bool) -> Survival:
    """Both seeds as one run."""
    runs = [survive(case, seed, SECONDS, sound=sound) for seed in SEEDS]
    means = (float(np.mean([getattr(r, name) for r in runs])) for name in ("good", "freezes", "added", "concealed"))
    return Survival(np.concatenate([run.delays for run in runs]), *means)


@pytest.mark.parametrize(
    ("case", "good", "high", "freezes", "concealed"),
    [
        ("loss2", 0.999, 75, 0, 0.002),
        ("loss5", 0.998, 90, 0, 0.002),
        ("loss10", 0.995, 100, 1, 0.005),
        ("burst5", 0.995, 95, 1, 0.008),
    ],
)
def test_pictures_and_sound_survive(case: str, good: float, high: float, freezes: float, concealed: float) -> None:
    """The share of concealed sound that is asked for is 0.1 % at 2 % of loss and 0.5 % in bursts, of a minute; a
    packet more or less of a short run is a tenth of a percent."""
    seen = pooled(case, sound=True)
    assert seen.good >= good
    assert np.percentile(seen.delays, 95) <= high
    assert seen.freezes <= freezes
    assert seen.concealed <= concealed


@pytest.mark.parametrize(("case", "added"), [("clean", 0.01), ("loss2", 0.045), ("loss10", 0.18), ("burst5", 0.12)])
def test_repair_adds_no_more_than_it_has_to(case: str, added: float) -> None:
    seen = pooled(case, sound=False)
    assert seen.added <= added
    assert seen.good >= 0.995


def test_what_is_only_late_is_hardly_asked_for() -> None:
    seen = pooled("jitter30", sound=False)
    assert seen.good >= 0.997
    assert np.percentile(seen.delays, 50) <= 65
    assert np.percentile(seen.delays, 95) <= 105
    assert seen.added <= 0.08


def test_where_no_answer_comes_in_time_repair_is_sent_ahead() -> None:
    seen = pooled("delay150", sound=False)
    assert seen.good >= 0.99
    assert seen.added <= 0.35
