"""Any file or address that FFmpeg reads, played at its own pace."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from protocol.errors import UsageError
from sender.capture.copy import PacketCopy
from sender.capture.demuxer import SECOND, Demuxer, Parcel, is_live
from sender.capture.pace import Clock, Pace
from sender.libraries import av
from sender.media import AudioSource, EncodedSource, Picture, Sound, VideoSource

if TYPE_CHECKING:
    from av import AudioFrame, VideoFrame

GAP = 30_000_000
"""ns by which the timestamps of sound may differ from the count of its samples before they are believed."""
BLOCK_RATE = 100
"""blocks a second."""
SKIP_LIMIT = 9
"""pictures skipped in a row: a machine far too slow still shows every tenth."""


@dataclass(frozen=True, slots=True)
class FileSources:
    """What was asked for of one file, on one clock."""

    video: VideoSource | EncodedSource | None
    audio: AudioSource | None

    def close(self) -> None:
        for source in (self.video, self.audio):
            if source is not None:
                source.close()


def open_file(
    path: str, *, video: bool, audio: bool, loop: bool = False, copy: bool = False, start: int = 0
) -> FileSources:
    """The best video and the best audio stream of a file, or of an address that FFmpeg can read.

    Both are paced by their timestamps from one start; `loop` begins again without a seam, and time goes on. `copy`:
    the video as it is in the file (an EncodedSource). `start`: ns into it at which it begins; a copied video begins
    with the key frame before. Raises UsageError in one line when there is nothing to read.
    """
    if not video and not audio:
        raise UsageError(f"{path}: neither video nor audio is wanted")
    demuxer = Demuxer(
        path, [kind for kind, wanted in (("video", video), ("audio", audio)) if wanted], loop=loop, start=start
    )
    clock = Clock(live=is_live(path))
    try:
        pictures = (PacketCopy if copy else FileVideo)(demuxer, Pace(clock)) if video else None
        return FileSources(pictures, FileAudio(demuxer, Pace(clock)) if audio else None)
    except UsageError:
        for kind in list(demuxer.streams):
            demuxer.close(kind)
        raise


class FileVideo:
    """A VideoSource. `skipped` counts the pictures that this machine was too slow to show."""

    def __init__(self, demuxer: Demuxer, pace: Pace) -> None:
        stream = demuxer.streams["video"]
        self.width: int = stream.codec_context.width
        self.height: int = stream.codec_context.height
        self.frame_rate = Fraction(stream.average_rate or stream.guessed_rate or 30)
        self.skipped = 0
        self._demuxer, self._pace = demuxer, pace
        self._decoded: deque[tuple[VideoFrame, int]] = deque()
        self._media_time = 0

    def read(self) -> Picture | None:
        """Raises ResourceError when the file can no longer be read."""
        passed_over = 0
        while (decoded := self._next()) is not None:
            frame, media_time = decoded
            due = self._pace.due(media_time)
            if self._pace.missed(due) and passed_over < SKIP_LIMIT:
                passed_over += 1
                self.skipped += 1
                continue
            return Picture(frame, due, media_time) if self._pace.wait(due) else None
        return None

    def close(self) -> None:
        self._pace.close()
        self._demuxer.close("video")

    def _next(self) -> tuple[VideoFrame, int] | None:
        while not self._decoded:
            parcel = self._demuxer.get("video")
            if parcel is None:
                return None
            for frame in _decode(parcel):
                if not self._demuxer.before_start(frame, parcel.offset):
                    self._media_time = self._time(frame, parcel.offset)
                    self._decoded.append((frame, self._media_time))
        return self._decoded.popleft()

    def _time(self, frame: VideoFrame, offset: int) -> int:
        if frame.pts is None or frame.time_base is None:
            return self._media_time + int(SECOND / self.frame_rate)
        return max(self._media_time, int(frame.pts * frame.time_base * SECOND) + offset)


class FileAudio:
    """An AudioSource: mono stays mono, all else becomes stereo."""

    def __init__(self, demuxer: Demuxer, pace: Pace) -> None:
        context = demuxer.streams["audio"].codec_context
        self.rate: int = context.sample_rate
        self.channels = 1 if context.channels == 1 else 2
        self._demuxer, self._pace = demuxer, pace
        self._layout = "mono" if self.channels == 1 else "stereo"
        self._resampler = self._new_resampler()
        self._blocks: deque[tuple[NDArray[np.float32], int]] = deque()
        self._position = 0
        self._rest = np.empty((0, self.channels), np.float32)
        """from `_position` on, less than a block: blocks of one length come evenly, whatever the file's frames are."""

    def read(self) -> Sound | None:
        """Raises ResourceError when the file can no longer be read."""
        while (block := self._next()) is not None:
            samples, position = block
            due = self._pace.due(position * SECOND // self.rate)
            if not self._pace.missed(due):
                return Sound(samples, due, position) if self._pace.wait(due) else None
        return None

    def close(self) -> None:
        self._pace.close()
        self._demuxer.close("audio")

    def _next(self) -> tuple[NDArray[np.float32], int] | None:
        while not self._blocks:
            parcel = self._demuxer.get("audio")
            if parcel is None and not len(self._rest):
                return None
            if parcel is None:
                self._end_block()
                break
            for frame in _decode(parcel):
                if not self._demuxer.before_start(frame, parcel.offset):
                    self._cut(frame, parcel.offset)
        return self._blocks.popleft()

    def _cut(self, frame: AudioFrame, offset: int) -> None:
        """Into blocks, at the position that the count says, or the timestamp when it is clearly ahead."""
        if frame.pts is not None and frame.time_base is not None:
            time = int(frame.pts * frame.time_base * SECOND) + offset
            position = round(time * self.rate / SECOND)
            if position - self._position - len(self._rest) > GAP * self.rate // SECOND:
                self._end_block()
                self._position = position
        samples = np.concatenate((self._rest, self._samples(frame)))
        size = self.rate // BLOCK_RATE
        whole = len(samples) - len(samples) % size
        for start in range(0, whole, size):
            self._add_block(samples[start : start + size])
        self._rest = samples[whole:]

    def _add_block(self, samples: NDArray[np.float32]) -> None:
        self._blocks.append((samples, self._position))
        self._position += len(samples)

    def _end_block(self) -> None:
        """Nothing follows the rest."""
        if len(self._rest):
            self._add_block(self._rest)
            self._rest = self._rest[:0]

    def _samples(self, frame: AudioFrame) -> NDArray[np.float32]:
        try:
            parts = self._resampler.resample(frame)
        except ValueError:  # the format changed in the middle of the file
            self._resampler = self._new_resampler()
            parts = self._resampler.resample(frame)
        return np.concatenate([part.to_ndarray().reshape(-1, self.channels) for part in parts], dtype=np.float32)

    def _new_resampler(self) -> Any:
        return av.AudioResampler(format="flt", layout=self._layout, rate=self.rate)


def _decode(parcel: Parcel) -> list[Any]:
    """Frames; none from a damaged packet."""
    try:
        return list(parcel.stream.codec_context.decode(parcel.packet))
    except (av.error.InvalidDataError, av.error.EOFError):
        return []
