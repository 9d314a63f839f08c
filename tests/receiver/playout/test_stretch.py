"""Time-scale modification by what may be heard of it: pitch, clicks, loudness, speed, and that nothing else moves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from receiver.playout.playhead import Playhead
from receiver.playout.stretch import Stretcher, wanted_speed

Sound = NDArray[np.float32]


def tone(frequency: float, rate: int, seconds: float) -> Sound:
    return (0.5 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def noise(rate: int, seconds: float) -> Sound:
    return np.random.default_rng(4).normal(0, 0.1, round(seconds * rate)).astype(np.float32)


def play(sound: Sound, rate: int, error: float, block: float = 0.01) -> tuple[Sound, int]:
    """All of `sound` (n, channels), 0.2 s of it ahead at a time, while the head stays `error` s behind; and what was
    left out."""
    head, stretcher = Playhead(rate, sound.shape[1]), Stretcher()
    frames, played, moved = round(block * rate), [], 0
    while True:
        more = sound[head.end : head.position + rate // 5]
        head.ring.append(more)
        if not len(more) and head.ahead < frames:
            break
        moved += stretcher.adjust(head, error, block, frames)
        played.append(head.render(1.0, frames).copy())
        head.advance(1.0, frames)
    return np.concatenate(played), moved


@pytest.mark.parametrize("rate", [8000, 44100, 48000])
@pytest.mark.parametrize("error", [0.2, -0.2, 0.012, -0.012])
@pytest.mark.parametrize("frequency", [110, 440, 1000])
def test_a_tone_keeps_its_pitch_and_has_no_clicks(frequency: int, error: float, rate: int) -> None:
    source = tone(frequency, rate, 3)
    played, moved = play(source[:, None], rate, error)
    assert moved * error > 0
    assert len(played) == pytest.approx(len(source) - moved, abs=0.01 * rate), "every sample is counted"
    spectrum = np.abs(np.fft.rfft(played[:, 0] * np.hanning(len(played))))
    assert np.argmax(spectrum) * rate / len(played) == pytest.approx(frequency, rel=0.01)
    far = np.abs(np.arange(len(spectrum)) * rate / len(played) - frequency) > 200
    assert np.square(spectrum[far]).sum() < 1e-3 * np.square(spectrum).sum(), "splatter"
    assert np.abs(np.diff(played[:, 0])).max() < 1.05 * np.abs(np.diff(source)).max()


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("kind", ["tone", "noise"])
def test_it_is_a_quarter_faster_or_slower_whatever_is_played(kind: str, direction: int) -> None:
    source = tone(220, 48000, 6) if kind == "tone" else noise(48000, 6)
    played, moved = play(source[:, None], 48000, direction * 0.5)
    assert moved / len(played) == pytest.approx(direction * 0.25, abs=0.01)


def test_noise_stays_as_loud() -> None:
    """Sounds that have nothing in common are cross-faded at equal power: at equal amplitude 3 dB would be missing."""
    source = noise(48000, 4)
    played, _ = play(source[:, None], 48000, 0.5)
    loudness = [np.sqrt(np.square(part).mean()) for part in np.array_split(played, len(played) // 120)]
    assert min(loudness) > 0.05
    assert np.sqrt(np.square(played).mean()) == pytest.approx(0.1, rel=0.02)


def test_channels_stay_together() -> None:
    left = noise(48000, 3) + tone(300, 48000, 3)
    played, moved = play(np.stack([left, -left], axis=1), 48000, 0.3)
    assert moved > 0
    np.testing.assert_array_equal(played[:, 0], -played[:, 1])


def test_below_8_ms_nothing_is_touched() -> None:
    source = noise(48000, 1)
    played, moved = play(source[:, None], 48000, 0.0079)
    assert moved == 0
    np.testing.assert_array_equal(played[:, 0], source)


def test_the_speed_wanted_is_bounded_and_grows_with_the_error() -> None:
    assert wanted_speed(9) == 1.25
    assert wanted_speed(-9) == 0.75
    assert 1.0 < wanted_speed(0.005) < wanted_speed(0.010) < 1.25


@settings(max_examples=30, deadline=None)
@given(
    rate=st.sampled_from([8000, 48000]),
    errors=st.lists(st.floats(-0.5, 0.5), min_size=1, max_size=20),
    block=st.sampled_from([0.0013, 0.005, 0.01, 0.02]),
    ahead=st.floats(0.002, 0.1),
)
def test_whatever_is_asked_the_sound_goes_on(rate: int, errors: list[float], block: float, ahead: float) -> None:
    """The head moves only by what is said, never past what must stay ahead, and the seams are smooth."""
    source = tone(200, rate, 3)
    head, stretcher = Playhead(rate, 1), Stretcher()
    head.ring.append(source[:, None])
    head.move_to(rate)
    frames, reserve, played = round(block * rate), round(ahead * rate), list[Sound]()
    for error in errors:
        before = head.position
        moved = stretcher.adjust(head, error, block, reserve)
        assert head.position == before + moved
        assert moved <= 0 or head.ahead >= reserve
        played.append(head.render(1.0, frames).copy()[:, 0])
        head.advance(1.0, frames)
    heard = np.concatenate(played)
    assert np.abs(np.diff(heard)).max(initial=0) < 1.2 * np.abs(np.diff(source)).max()
