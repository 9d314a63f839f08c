"""A picture that moves and a tone, for machines without camera or microphone.

For the first tenth of every second of the wall clock a white square lights up and the tone is an octave higher: seen
and heard together, the two are in sync.
"""

from __future__ import annotations

import time
from datetime import datetime
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sender.capture.pace import SECOND, Pace
from sender.libraries import av, cv2
from sender.media import Picture, Sound

if TYPE_CHECKING:
    from av import VideoFrame

# 75 % colour bars in BT.601: white, yellow, cyan, green, magenta, red, blue, black (Y, Cb, Cr).
_BARS = (
    *((180, 128, 128), (162, 44, 142), (131, 156, 44), (112, 72, 58)),
    *((84, 184, 198), (65, 100, 212), (35, 212, 114), (16, 128, 128)),
)
_WHITE, _BLACK, _GREY = 235, 16, 128
_FONT = cv2.FONT_HERSHEY_SIMPLEX
SCROLL = 2
"""pixels a picture by which the bars move."""

TONE, MARK = 440, 880
"""Hz; both whole cycles in the parts of a second they sound for, so one second of it can be repeated."""
MARK_PART = 10
"""the mark is this part of a second: one tenth."""
LEVEL = 0.2
BLOCK_RATE = 100


def open_pattern(size: tuple[int, int] = (1280, 720), frame_rate: Fraction = Fraction(30)) -> PatternVideo:
    """Scrolling colour bars, a bouncing ball, the number of the picture and the time of day. Odd sizes become even."""
    return PatternVideo(max(2, size[0] & ~1), max(2, size[1] & ~1), frame_rate)


def open_tone(rate: int = 48_000, channels: int = 1) -> ToneAudio:
    """440 Hz at -14 dBFS, 880 Hz in the first tenth of each second."""
    return ToneAudio(rate, channels)


class PatternVideo:
    """A VideoSource without end."""

    def __init__(self, width: int, height: int, frame_rate: Fraction) -> None:
        self.width, self.height, self.frame_rate = width, height, frame_rate
        self._background = _bars(2 * width, height)
        self._pace = Pace()
        self._number = -1

    def read(self) -> Picture | None:
        """Picture n is due n intervals after the first; when the machine fell behind, numbers are left out."""
        interval = SECOND / self.frame_rate
        self._number += 1
        if self._number:
            elapsed = time.monotonic_ns() - self._pace.due(0)
            self._number = max(self._number, int(elapsed / interval))
        media_time = int(self._number * interval)
        due = self._pace.due(media_time)
        if not self._pace.wait(due):
            return None
        return Picture(self.draw(self._number, time.time_ns()), due, media_time)

    def close(self) -> None:
        self._pace.close()

    def draw(self, number: int, wall: int) -> VideoFrame:
        """Picture `number` with the time of day of `wall` (Unix ns)."""
        canvas = np.empty((self.height * 3 // 2, self.width), np.uint8)
        luma = canvas[: self.height]
        chroma = canvas[self.height :].reshape(2, self.height // 2, self.width // 2)
        offset = SCROLL * number % self.width
        for target, source, start in zip(
            (luma, *chroma), self._background, (offset, offset // 2, offset // 2), strict=True
        ):
            target[:] = source[:, start : start + target.shape[1]]
        self._draw_ball(luma, chroma, number)
        self._draw_text(luma, chroma, number, wall)
        return av.VideoFrame.from_numpy_buffer(canvas, "yuv420p")

    def _draw_ball(self, luma: NDArray[np.uint8], chroma: NDArray[np.uint8], number: int) -> None:
        radius = max(4, self.height // 12)
        x = radius + _bounce(number * 5, self.width - 2 * radius)
        y = radius + _bounce(number * 3, self.height - 2 * radius)
        cv2.circle(luma, (x, y), radius, _WHITE, -1)
        for plane in chroma:
            cv2.circle(plane, (x // 2, y // 2), radius // 2, _GREY, -1)

    def _draw_text(self, luma: NDArray[np.uint8], chroma: NDArray[np.uint8], number: int, wall: int) -> None:
        moment = datetime.fromtimestamp(wall // SECOND)
        text = f"{number:06d}  {moment:%H:%M:%S}.{wall // 1_000_000 % 1000:03d}"
        height = self.height // 10 & ~1
        luma[:height], chroma[:, : height // 2] = _BLACK, _GREY
        if wall % SECOND < SECOND // MARK_PART:
            luma[:height, -height:] = _WHITE
        cv2.putText(luma, text, (height // 4, height * 3 // 4), _FONT, height / 40, _WHITE, max(1, height // 20))


class ToneAudio:
    """An AudioSource without end."""

    def __init__(self, rate: int, channels: int) -> None:
        self.rate, self.channels = rate, channels
        self._second = np.repeat(_one_second(rate)[:, None], channels, axis=1)
        self._pace = Pace()
        self._position = 0
        self._phase: int | None = None

    def read(self) -> Sound | None:
        """Blocks of 10 ms; when the machine fell behind by half a second, it goes on at the present."""
        due = self._pace.due(self._position * SECOND // self.rate)
        if self._phase is None:  # begins where the second of the wall clock is
            self._phase = time.time_ns() % SECOND * self.rate // SECOND
        if self._pace.missed(due):
            self._position += (time.monotonic_ns() - due) * self.rate // SECOND
            due = self._pace.due(self._position * SECOND // self.rate)
        if not self._pace.wait(due):
            return None
        indices = np.arange(self.rate // BLOCK_RATE) + self._position + self._phase
        sound = Sound(self._second[indices % self.rate], due, self._position)
        self._position += len(indices)
        return sound

    def close(self) -> None:
        self._pace.close()


def _bars(width: int, height: int) -> tuple[NDArray[np.uint8], ...]:
    """Luma and chroma planes, twice the eight bars side by side, so that any window as wide as half of it is whole."""
    index = np.arange(width // 2) * 16 // (width // 2) % 8
    colours = np.array(_BARS, np.uint8)[index]
    luma = np.repeat(colours[:, 0], 2)
    planes = ((luma, height), (colours[:, 1], height // 2), (colours[:, 2], height // 2))
    return tuple(np.repeat(row[None, :], rows, axis=0) for row, rows in planes)


def _bounce(distance: int, room: int) -> int:
    """A point that runs to and fro between 0 and `room`."""
    room = max(1, room)
    return room - abs(distance % (2 * room) - room)


def _one_second(rate: int) -> NDArray[np.float32]:
    frequency = np.where(np.arange(rate) < rate // MARK_PART, MARK, TONE)
    phase = 2 * np.pi / rate * (np.cumsum(frequency) - frequency)
    return (LEVEL * np.sin(phase)).astype(np.float32)
