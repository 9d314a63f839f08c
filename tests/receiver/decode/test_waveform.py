"""Matching and joining waveforms, against constructions of which the answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from receiver.decode.concealment import HISTORY, continuation
from receiver.decode.waveform import best_match, cross_fade


def noise(frames: int, channels: int = 1, seed: int = 1) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, 0.2, (frames, channels)).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 44100, 48000])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("place", [0, 1, 37, 300])
def test_a_stretch_is_found_where_it_was_cut_out(place: int, channels: int, rate: int) -> None:
    region = noise(900, channels)
    index, correlation = best_match(region[place : place + 400] * 0.3, region, rate)
    assert index == place
    assert correlation == pytest.approx(1, abs=1e-3), "loudness does not matter"


def test_channels_of_opposite_sign_do_not_hide_the_match() -> None:
    sound = noise(900)
    region = np.concatenate([sound, -sound], axis=1)
    assert best_match(region[200:600], region, 48000)[0] == 200


def test_silence_matches_nothing() -> None:
    index, correlation = best_match(np.zeros((400, 1), np.float32), noise(900), 48000)
    assert 0 <= index <= 500
    assert correlation == 0


@pytest.mark.parametrize(("other", "correlation"), [(1, 1.0), (2, 0.0)])
def test_a_cross_fade_keeps_the_loudness(other: int, correlation: float) -> None:
    faded = cross_fade(noise(50_000, seed=1), noise(50_000, seed=other), correlation)
    loudness = [np.sqrt(np.square(part).mean()) for part in np.array_split(faded, 10)]
    assert loudness == pytest.approx([0.2] * 10, rel=0.05)


@pytest.mark.parametrize("rate", [8000, 44100, 48000])
@pytest.mark.parametrize("frequency", [90, 170, 310, 1000])
def test_a_tone_goes_on_in_its_phase_and_falls_to_silence(frequency: int, rate: int) -> None:
    n = np.arange(round((HISTORY + 0.1) * rate))
    tone = np.sin(2 * np.pi * frequency * n / rate).astype(np.float32)[:, None]
    history = tone[: round(HISTORY * rate)]
    made_up = continuation(history, rate)
    assert len(made_up) == round(0.1 * rate)
    first = slice(0, round(0.010 * rate))
    assert np.corrcoef(made_up[first, 0], tone[len(history) :][first, 0])[0, 1] > 0.97
    heard = np.concatenate([history, made_up])
    assert np.abs(np.diff(heard, axis=0)).max() < 1.3 * np.abs(np.diff(tone, axis=0)).max()
    loudness = [np.abs(part).max() for part in np.array_split(made_up, 5)]
    assert loudness == sorted(loudness, reverse=True)
    assert loudness[-1] < 0.3


def test_silence_goes_on_as_silence() -> None:
    assert not continuation(np.zeros((round(HISTORY * 48000), 2), np.float32), 48000).any()
