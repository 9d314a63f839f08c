"""The window, on the main thread because OpenCV wants it there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from threading import Event
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from protocol.errors import ResourceError
from receiver.libraries import cv2
from receiver.media import Image
from receiver.playout.display import missing_display

if TYPE_CHECKING:
    from av import VideoFrame

HELP = (
    "q or Esc: quit",
    "f: full screen",
    "p: pause",
    "m: mute",
    "9 and 0: quieter, louder",
    "s: statistics",
    "?: this help",
)
_SILENCE = 2_000_000_000
"""ns without a picture before "no signal" is said."""
_REDRAW = 500_000_000
_EMPTY_SIZE = (360, 640)
_VOLUME_STEP = 0.1
_KEY_POLL = 0.010
"""s between looks at the keyboard."""


class Sound(Protocol):
    """What the keys 9, 0 and m turn; an AudioTimeline is one."""

    volume: float
    muted: bool


class Pictures(Protocol):
    """Where the pictures come from; a VideoScheduler is one."""

    def due(self, now: int) -> Image | None: ...

    def skip(self, now: int) -> None: ...

    def next_time(self) -> int | None: ...


class Window:
    """Shows pictures, answers keys. All methods belong to the main thread.

    Raises ResourceError when there is no display.
    """

    def __init__(self, title: str, *, sound: Sound | None, statistics: Callable[[], Sequence[str]], now: int) -> None:
        reason = missing_display()
        if reason is not None:
            raise ResourceError(reason)
        self._title = title
        self._sound = sound
        self._statistics = statistics
        self._picture: NDArray[np.uint8] | None = None
        self._shown_time = self._drawn_time = now
        self._full_screen = self._overlay = self._help = False
        self.paused = False
        self.closed = False
        os.environ.setdefault("QT_LOGGING_RULES", "*.warning=false")
        cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        cv2.resizeWindow(title, _EMPTY_SIZE[1], _EMPTY_SIZE[0])
        self._draw(now)

    def run(self, pictures: Pictures, stop: Event, changed: Event) -> None:
        """Until the user closes the window or `stop` is set. `changed` wakes it when pictures were submitted."""
        while not stop.is_set() and not self.closed:
            now = time.monotonic_ns()
            self.update(pictures, now)
            next_time = pictures.next_time()
            wait = _KEY_POLL if next_time is None else min(_KEY_POLL, max(0, next_time - time.monotonic_ns()) / 1e9)
            if changed.wait(wait):
                changed.clear()

    def update(self, pictures: Pictures, now: int) -> None:
        """Shows what is due, and answers the keys."""
        if self.paused:
            pictures.skip(now)
        elif (image := pictures.due(now)) is not None:
            self.show(image, now)
        if now - self._drawn_time >= _REDRAW:
            self._draw(now)
        self._answer(cv2.pollKey() & 0xFF, now)
        if self._is_closed():
            self.closed = True

    def show(self, image: Image, now: int) -> None:
        picture = bgr(image.frame)
        if self._picture is None or self._picture.shape != picture.shape:
            cv2.resizeWindow(self._title, picture.shape[1], picture.shape[0])
        self._picture, self._shown_time = picture, now
        self._draw(now)

    def close(self) -> None:
        if not self._is_closed():
            cv2.destroyWindow(self._title)
            cv2.pollKey()
        self.closed = True

    def _is_closed(self) -> bool:
        try:
            return bool(cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1)
        except cv2.error:
            return True

    def _answer(self, key: int, now: int) -> None:
        match chr(key):
            case "q" | "\x1b":
                self.closed = True
                return
            case "f":
                self._full_screen = not self._full_screen
                mode = cv2.WINDOW_FULLSCREEN if self._full_screen else cv2.WINDOW_NORMAL
                cv2.setWindowProperty(self._title, cv2.WND_PROP_FULLSCREEN, mode)
            case "p":
                self.paused = not self.paused
                self._mute(self.paused)
            case "m" if self._sound is not None:
                self._mute(not self._sound.muted)
            case "9":
                self._turn(-_VOLUME_STEP)
            case "0":
                self._turn(_VOLUME_STEP)
            case "s":
                self._overlay = not self._overlay
            case "?":
                self._help = not self._help
            case _:
                return
        self._draw(now)

    def _mute(self, muted: bool) -> None:
        if self._sound is not None:
            self._sound.muted = muted

    def _turn(self, step: float) -> None:
        if self._sound is not None:
            self._sound.volume = min(1.0, max(0.0, round(self._sound.volume + step, 2)))

    def _draw(self, now: int) -> None:
        self._drawn_time = now
        canvas = np.zeros((*_EMPTY_SIZE, 3), np.uint8) if self._picture is None else self._picture
        lines = self._lines(now)
        if lines:
            canvas = canvas.copy()
            write_lines(canvas, lines)
        cv2.imshow(self._title, canvas)

    def _lines(self, now: int) -> list[str]:
        lines = []
        silence = now - self._shown_time
        if self.paused:
            lines.append("paused: p goes on")
        elif self._picture is None and silence < _SILENCE:
            lines.append("waiting for a signal")
        elif silence >= _SILENCE:
            lines.append(f"no signal for {silence // 1_000_000_000} s")
        if self._sound is not None and self._sound.muted and not self.paused:
            lines.append("muted")
        elif self._sound is not None and self._sound.volume < 1.0:
            lines.append(f"volume {self._sound.volume:.0%}")
        if self._overlay:
            lines += self._statistics()
        return [*lines, *(HELP if self._help else ())]


def bgr(frame: VideoFrame) -> NDArray[np.uint8]:
    """A decoded picture as OpenCV wants it: (height, width, 3), in the colours its stream declares."""
    return cast("NDArray[np.uint8]", frame.to_ndarray(format="bgr24"))


def write_lines(canvas: NDArray[np.uint8], lines: Sequence[str]) -> None:
    """White text on a darkened corner at the top left of `canvas`, as large as the picture allows."""
    texts = [line.encode("ascii", "replace").decode() for line in lines]
    font = cv2.FONT_HERSHEY_SIMPLEX
    widest = max(cv2.getTextSize(text, font, 1.0, 1)[0][0] for text in texts)
    scale = min(max(canvas.shape[0], 240) / 600, (canvas.shape[1] - 24) / (1.1 * widest))
    step, margin = round(32 * scale) + 4, round(10 * scale) + 2
    corner = canvas[: step * len(texts) + 2 * margin, : round(1.1 * widest * scale) + 2 * margin]
    corner //= 3
    for number, text in enumerate(texts, 1):
        cv2.putText(canvas, text, (margin, number * step), font, scale, (255, 255, 255), 1, cv2.LINE_AA)
