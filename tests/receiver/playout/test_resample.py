"""Positions that are whole numbers but for rounding: the interpolator must stay inside what `reach` asked for."""

from __future__ import annotations

import math

import numpy as np
import pytest

from receiver.playout.resample import Interpolator


@pytest.mark.parametrize(("source_rate", "rate"), [(8000, 48_000), (16_000, 48_000), (44_100, 48_000)])
@pytest.mark.parametrize("stretch", [1.0, 1.001, 0.9987])
def test_a_last_position_just_below_a_whole_number(source_rate: int, rate: int, stretch: float) -> None:
    interpolator = Interpolator(source_rate, rate)
    wave = np.sin(0.05 * np.arange(4000)).astype(np.float32)[:, None]
    step = source_rate / rate * stretch
    for frames in (100, 337, 480):
        boundary = math.ceil((frames - 1) * step) - (frames - 1) * step
        for below in range(60):
            fraction = boundary - below * 3e-16
            if not 0 <= fraction < 1:
                continue
            source = wave[: interpolator.half + interpolator.reach(fraction, step, frames)]
            output = interpolator.read(source, interpolator.half + fraction, step, frames)
            expected = np.sin(0.05 * (interpolator.half + fraction + step * np.arange(frames)))
            assert np.abs(output[:, 0] - expected).max() < 2e-3
