"""WAV files, read back by the standard library and FFmpeg; the virtual sound card under a virtual clock."""

from __future__ import annotations

import time
import wave
from pathlib import Path

import numpy as np
import pytest

from protocol.errors import ResourceError
from receiver.libraries import av
from receiver.media import Samples
from receiver.playout.audio import AudioTimeline
from receiver.playout.sound_file import VirtualSoundCard, VirtualSpeaker, WavFile

SECOND = 1_000_000_000


def pushed(seconds: int) -> tuple[AudioTimeline, np.ndarray]:
    rng = np.random.default_rng(5)
    sound = (rng.integers(-30000, 30000, (48000 * seconds, 2)) / 32768).astype(np.float32)
    timeline = AudioTimeline(48000, 2)
    for start in range(0, len(sound), 960):
        timeline.push(Samples(sound[start : start + 960], 48000, start, start * SECOND // 48000))
    return timeline, sound


def play(timeline: AudioTimeline, wav: WavFile, duration: int) -> None:
    card = VirtualSoundCard(timeline, [wav.write], 0)
    while card.next_time <= duration:
        card.advance(card.next_time)


def test_the_file_holds_what_was_played(tmp_path: Path) -> None:
    path = tmp_path / "out.wav"
    timeline, sound = pushed(2)
    wav = WavFile(str(path), 48000, 2, print)
    play(timeline, wav, 2 * SECOND)
    wav.close()
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (48000, 2, 2)
        played = np.frombuffer(file.readframes(1 << 30), "<i2").reshape(-1, 2)
    np.testing.assert_array_equal(played[240:], (sound[240 : len(played)] * 32768).astype(int))
    assert len(played) == 96000


def test_a_file_whose_writer_was_killed_can_be_played(tmp_path: Path) -> None:
    path = tmp_path / "out.wav"
    timeline, _ = pushed(3)
    wav = WavFile(str(path), 48000, 2, print)
    play(timeline, wav, 5 * SECOND // 2)
    with wave.open(str(path)) as file:
        assert file.getnframes() >= 48000
    with av.open(str(path)) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) >= 48000
    wav.close()


def test_sound_too_loud_is_clipped_not_wrapped(tmp_path: Path) -> None:
    wav = WavFile(str(tmp_path / "out.wav"), 48000, 1, print)
    wav.write(np.array([[1.5], [-1.5], [1.0]], np.float32), 0)
    wav.close()
    with wave.open(str(tmp_path / "out.wav")) as file:
        assert np.frombuffer(file.readframes(3), "<i2").tolist() == [32767, -32768, 32767]


def test_a_full_disk_is_one_line_and_playing_goes_on() -> None:
    lines: list[str] = []
    wav = WavFile("/dev/full", 48000, 2, lines.append)
    for _ in range(3):
        wav.write(np.zeros((480, 2), np.float32), 0)
    wav.close()
    assert lines == ["/dev/full: No space left on device; the sound is not written any more"]
    with pytest.raises(ResourceError, match="No such file or directory"):
        WavFile("/nowhere/out.wav", 48000, 2, lines.append)


def test_in_real_time_it_keeps_up() -> None:
    heard: list[int] = []
    timeline = AudioTimeline(48000, 2)
    speaker = VirtualSpeaker(timeline, [lambda _, now: heard.append(now)], [])
    time.sleep(0.3)
    speaker.close()
    assert 10 <= len(heard) <= 40
    assert set(np.diff(heard)) == {10_000_000}


def test_after_a_sleep_the_past_is_not_played() -> None:
    blocks: list[int] = []
    card = VirtualSoundCard(AudioTimeline(48000, 2), [lambda _, now: blocks.append(now)], 0)
    card.advance(3600 * SECOND)
    assert len(blocks) == 1
