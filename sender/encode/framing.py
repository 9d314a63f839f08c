"""Sound in blocks of any size → blocks of one size, one rate and one number of channels."""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

from sender.media import Sound

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
    soxr holds about 9 ms back, but what it gives is not shifted."""

    def __init__(self, rate: int, output_rate: int, channels: int) -> None:
        self._rate, self._output_rate, self._channels = rate, output_rate, channels
        self._expected: int | None = None
        self._position = 0

    def push(self, sound: Sound) -> Sound:
        """The next block at the output's rate; it may be empty."""
        samples = remix(sound.samples, self._channels)
        if self._rate == self._output_rate:
            return Sound(samples, sound.capture_time, sound.position)
        if sound.position != self._expected:
            self._restart(sound.position)
        self._expected = sound.position + len(samples)
        output = self._stream.resample_chunk(np.ascontiguousarray(samples))
        position = self._position
        self._position += len(output)
        ahead = position * SECOND // self._output_rate - sound.position * SECOND // self._rate
        return Sound(output, sound.capture_time + ahead, position)

    def _restart(self, position: int) -> None:
        self._stream = soxr.ResampleStream(self._rate, self._output_rate, self._channels, dtype="float32", quality="HQ")
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

    def push(self, sound: Sound) -> list[Sound]:
        blocks = self._bridge(sound)
        end = (self._position or 0) + len(self._held)
        self._held = np.concatenate((self._held, sound.samples))
        return blocks + self._cut(sound.capture_time, end)

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
