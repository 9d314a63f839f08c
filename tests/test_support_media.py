"""The judges must be right about clips whose faults are known."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from tests.support import media


def write_wav(path: Path, samples: np.ndarray, rate: int = media.RATE) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.round(samples * 32767).astype("<i2").tobytes())
    return path


def test_a_clip_reads_back_as_itself(tmp_path: Path) -> None:
    seen = media.look(media.make_clip(tmp_path / "clip.mkv", 1.0))
    assert seen.numbers == list(range(25))
    assert seen.unreadable == 0
    assert seen.median_psnr == 99.0
    assert seen.in_order


@pytest.mark.parametrize("number", [0, 1, 255, 0xABC, 0xFFF])
def test_numbers_are_read_through_noise(number: int) -> None:
    noise = np.random.default_rng(1).normal(0, 20, (media.HEIGHT, media.WIDTH))
    luma = np.clip(media.picture(number) + noise, 0, 255).astype(np.uint8)
    assert media.read_number(luma) == number
    assert media.psnr(luma, media.picture(number)) == pytest.approx(20 * np.log10(255 / 20), abs=0.5)


def test_a_destroyed_number_is_not_guessed() -> None:
    luma = media.picture(5)
    luma[:16] = 128
    assert media.read_number(luma) is None


def test_neighbouring_pictures_are_told_apart() -> None:
    assert media.psnr(media.picture(10), media.picture(11)) < 30


def test_sound_is_found_where_it_is(tmp_path: Path) -> None:
    source = media.sound(3.0)
    heard = media.listen(write_wav(tmp_path / "a.wav", np.concatenate((np.zeros(4800), 0.5 * source[24_000:]))), source)
    assert heard.median > 0.999
    assert heard.places[1] == pytest.approx(0.5 - 0.1 + 0.5, abs=0.001)


def test_a_stretch_with_a_little_sound_at_its_edge_is_judged(tmp_path: Path) -> None:
    source = media.sound(3.0)
    sound = np.concatenate((np.zeros(23_000), source[:25_000]))
    heard = media.listen(write_wav(tmp_path / "a.wav", sound), source)
    assert min(heard.correlations) > 0.999
    sound[:23_000] = 0.002 * np.sign(np.sin(np.arange(23_000) / 3))
    assert media.listen(write_wav(tmp_path / "a.wav", sound), source).correlations[-1] > 0.999


def test_silence_around_the_sound_is_no_match() -> None:
    """Also at the scale of 16-bit samples, where rounding errors of a transform are large."""
    silence = np.zeros(100_000, np.float32)
    source = np.concatenate((silence, 10_000 * media.sound(1.0), silence))
    noise = np.random.default_rng(4).normal(0, 0.3, 4800).astype(np.float32)
    assert media.best_match(noise, source)[0] < 0.2
    correlation, at = media.best_match(media.sound(1.0)[9600:14_400], source)
    assert (round(correlation, 6), at) == (1.0, 109_600)


def test_other_sound_is_not_taken_for_it(tmp_path: Path) -> None:
    noise = np.random.default_rng(2).normal(0, 0.1, 2 * media.RATE)
    assert media.listen(write_wav(tmp_path / "a.wav", noise), media.sound(3.0)).median < 0.2


def test_sound_of_another_rate_is_compared_at_that_rate(tmp_path: Path) -> None:
    heard = media.listen(write_wav(tmp_path / "a.wav", media.sound(3.0, 8000), 8000), media.sound(3.0))
    assert heard.median > 0.95


@pytest.mark.parametrize("percent", [0.02, -0.02, 0.1, -0.1, 0.2, -0.2])
def test_sound_a_little_faster_or_slower_is_the_same(percent: float, tmp_path: Path) -> None:
    """The same curve, sampled at another rate and read at this one."""
    rate = round(media.RATE * (1 + percent / 100))
    heard = media.listen(write_wav(tmp_path / "a.wav", media.sound(3.0, rate)), media.sound(3.0))
    assert min(heard.correlations[:-1]) > 0.999


@pytest.mark.parametrize("percent", [0.6, -0.6, 2.0, -2.0])
def test_sound_of_another_pitch_is_not(percent: float, tmp_path: Path) -> None:
    rate = round(media.RATE * (1 + percent / 100))
    heard = media.listen(write_wav(tmp_path / "a.wav", media.sound(3.0, rate)), media.sound(3.0))
    assert max(heard.correlations[:-1]) < 0.97
    assert heard.median < 0.9


@pytest.mark.parametrize("percent", [0.0, 0.1])
def test_a_hole_of_20_ms_is_found(percent: float, tmp_path: Path) -> None:
    """What is missing of a stretch's energy is missing of the square of its correlation."""
    sound = media.sound(3.0, round(media.RATE * (1 + percent / 100)))[: 3 * media.RATE]
    stretch = media.RATE // 2
    share = np.sum(sound[60_000:60_960] ** 2) / np.sum(sound[2 * stretch : 3 * stretch] ** 2)
    sound[60_000:60_960] = 0
    heard = media.listen(write_wav(tmp_path / "a.wav", sound), media.sound(3.0))
    assert heard.correlations[2] == pytest.approx(np.sqrt(1 - share), abs=0.001)
    assert heard.correlations[2] < 0.99
    assert min(heard.correlations[:2] + heard.correlations[3:5]) > 0.999


@pytest.mark.parametrize("percent", [0.0, 0.02])
def test_noise_of_minus_30_db_is_heard(percent: float, tmp_path: Path) -> None:
    """Of full scale: 1 / sqrt(1 + noise / sound) is what is left of each correlation."""
    clean = media.sound(3.0, round(media.RATE * (1 + percent / 100)))[: 3 * media.RATE]
    noise = np.random.default_rng(3).normal(0, 10 ** (-30 / 20), len(clean))
    stretches = (clean**2).reshape(6, -1).mean(axis=1)
    heard = media.listen(write_wav(tmp_path / "a.wav", np.clip(clean + noise, -1, 1)), media.sound(3.0))
    expected = 1 / np.sqrt(1 + 10 ** (-30 / 10) / stretches)
    assert heard.correlations == pytest.approx(expected.tolist(), abs=0.005)
    assert heard.median < 0.98


def test_a_click_and_a_stretch_played_twice_are_found(tmp_path: Path) -> None:
    source = media.sound(3.0)
    clicked, repeated = source.copy(), source.copy()
    clicked[60_000:60_240] = 1.0
    repeated[60_000:61_000] = source[59_000:60_000]
    for sound in (clicked, repeated):
        heard = media.listen(write_wav(tmp_path / "a.wav", sound), source)
        assert heard.correlations[2] < 0.985


def test_footage_without_numbers_is_aligned_by_likeness() -> None:
    reference = [media.picture(number)[16:] for number in range(60)]
    wanted = [3, 4, 5, 9, 9, 30]
    found = media.align([reference[number] for number in wanted], reference)
    assert found == [(number, 99.0) for number in wanted]
