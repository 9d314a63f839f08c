"""What nobody sees is not waited for: pictures late by less than half the refresh of a 60 Hz screen."""

from __future__ import annotations

import numpy as np
import pytest

from receiver.config import Latency
from receiver.jitter.target import policy

MS = 1_000_000
SECOND = 1_000_000_000


@pytest.mark.parametrize(("deviation", "least", "most"), [(0, 0, 0), (1, 0, 0), (20, 5, 25)])
def test_pictures_wait_for_what_an_eye_would_notice(deviation: int, least: int, most: int) -> None:
    """A ms of lateness costs 20 ** 0.3 = 2.5 of waiting, so the cheapest delay is the quantile 1 - 1 / 2.5: of 20 ms
    of jitter (a normal distribution's half) 17 ms, less 8 that are not seen."""
    target = policy(Latency(), "video")
    lateness = np.abs(np.random.default_rng(1).normal(0, deviation * MS, 600)).astype(np.int64)
    for number, late in enumerate(lateness.tolist()):
        target.observe(late, number * SECOND // 30 + late)
    assert least * MS <= target.delay <= most * MS
    assert target.delay + target.patience >= 10 * MS


def test_a_frame_with_a_hole_is_waited_for_as_long_as_ever() -> None:
    """Patience counts from the delay that was given up, so reordering costs nothing."""
    target = policy(Latency(), "video")
    for number in range(600):
        target.observe(6 * MS, number * SECOND // 30)
    assert target.delay <= MS
    assert target.delay + target.patience >= 16 * MS
