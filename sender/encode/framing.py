"""Sound in blocks of any size → blocks of one size, one rate and one number of channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sender.libraries import av
from sender.media import Sound

if TYPE_CHECKING:
    from av import AudioFrame

SECOND = 1_000_000_000


def remix(samples: NDArray[np.float32], channels: int) -> NDArray[np.float32]:
    """shape (frames, any) → (frames, `channels`): to mono by the mean, from mono by copies, else the first ones."""
    have = samples.shape[1]
    if have == channels:
        return samples
    if channels == 1:
        mono: NDArray[np.float32] = samples.mean(axis=1, keepdims=True, dtype=np.float32)
        return mono
    return np.repeat(samples[:, :1], channels, axis=1) if have == 1 else np.ascontiguousarray(samples[:, :channels])


class Conformer:
    """Changes rate and channels as the sound passes. Positions and times stay those of the sound itself:
    FFmpeg's resampler holds at most 2 ms back, always as much, and what it gives is not shifted."""

    def __init__(self, rate: int, output_rate: int, channels: int) -> None:
        self._rate, self._output_rate, self._channels = rate, output_rate, channels
        self._layout = "mono" if channels == 1 else "stereo"
        self._expected: int | None = None
        self._position = 0
        self._captured = (0, 0)
        """a position of the input, and its capture time."""

    def push(self, sound: Sound) -> Sound:
        """The next block at the output's rate; it may be empty."""
        samples = remix(sound.samples, self._channels)
        if self._rate == self._output_rate:
            return Sound(samples, sound.capture_time, sound.position)
        if sound.position != self._expected:
            self._restart(sound.position)
        self._expected = sound.position + len(samples)
        self._captured = sound.position, sound.capture_time
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), "fltp", self._layout)
        frame.sample_rate = self._rate
        return self._output(self._resampler.resample(frame))

    def flush(self) -> Sound | None:
        """What was held back, at the end; None where nothing is."""
        if self._expected is None:
            return None
        self._expected = None
        return self._output(self._resampler.resample(None))

    def _output(self, frames: list[AudioFrame]) -> Sound:
        nothing = np.zeros((0, self._channels), np.float32)
        samples = np.concatenate([nothing, *(frame.to_ndarray().T for frame in frames)], dtype=np.float32)
        position, (known, captured) = self._position, self._captured
        self._position += len(samples)
        ahead = position * SECOND // self._output_rate - known * SECOND // self._rate
        return Sound(samples, captured + ahead, position)

    def _restart(self, position: int) -> None:
        self._resampler = av.AudioResampler("fltp", self._layout, self._output_rate)
        self._position = round(position * self._output_rate / self._rate)


class Framer:
    """Cuts sound into blocks of exactly `frames` samples.

    Samples that are missing become silence when less than a block is; otherwise the block in hand is filled up with
    silence and the next one starts at the new position.
    """

    def __init__(self, frames: int, channels: int, rate: int) -> None:
        self._frames, self._rate = frames, rate
        self._held = np.zeros((0, channels), np.float32)
        self._position: int | None = None
        self._time = (0, 0)
        """when the sample at a position was captured."""

    def push(self, sound: Sound) -> list[Sound]:
        self._time = sound.capture_time, sound.position
        blocks = self._bridge(sound)
        end = (self._position or 0) + len(self._held)
        self._held = np.concatenate((self._held, sound.samples))
        return blocks + self._cut(sound.capture_time, end)

    def flush(self, silence: int) -> list[Sound]:
        """What is in hand, `silence` samples after it, and what the last block lacks. At the end."""
        if self._position is None:
            return []
        time, position = self._time
        self._pad(silence)
        self._pad(-len(self._held) % self._frames)
        return self._cut(time, position)

    def _bridge(self, sound: Sound) -> list[Sound]:
        """Brings what is held up to the sound's position."""
        if self._position is None:
            self._position = sound.position
        gap = sound.position - self._position - len(self._held)
        if 0 < gap <= self._frames:
            self._pad(gap)
        elif gap > 0:
            self._pad(-len(self._held) % self._frames)
            blocks = self._cut(sound.capture_time, sound.position)
            self._position = sound.position
            return blocks
        return []

    def _pad(self, count: int) -> None:
        self._held = np.concatenate((self._held, np.zeros((count, self._held.shape[1]), np.float32)))

    def _cut(self, time: int, position: int) -> list[Sound]:
        """The whole blocks in hand; `time` is when the sample at `position` was captured."""
        assert self._position is not None
        blocks = []
        for start in range(0, len(self._held) - self._frames + 1, self._frames):
            first = self._position + start
            captured = time + (first - position) * SECOND // self._rate
            blocks.append(Sound(self._held[start : start + self._frames], captured, first))
        used = len(blocks) * self._frames
        self._held = self._held[used:]
        self._position += used
        return blocks
