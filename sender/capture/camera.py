"""A camera through OpenCV: a thread reads it as fast as it gives, and the newest picture wins."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from protocol.errors import ResourceError
from sender.capture.pace import SECOND, Pace
from sender.libraries import av, cv2
from sender.media import Picture

RETRY_INTERVAL = 1.0
"""seconds between attempts to open a camera that went away."""
TIMEOUT_MS = 5000
"""in which a camera on the network must answer and give each picture; OpenCV would wait half a minute."""
DEFAULT_RATE = Fraction(30)
"""of a camera that doesn't know its own."""


def open_camera(
    which: str = "0",
    size: tuple[int, int] | None = None,
    frame_rate: Fraction | None = None,
    log: Callable[[str], None] = lambda _line: None,
) -> Camera:
    """The camera of that index, or whatever OpenCV can open by that path or URL.

    `size` and `frame_rate` are wishes: the camera's own answer stands in the source. `log` gets one line when it goes
    away and one when it is back. Raises ResourceError when it can't be opened.
    """
    _silence()
    return Camera(which, size, frame_rate, log)


class Camera:
    """A VideoSource. `dropped` counts the pictures that were replaced by a newer one before they were read."""

    def __init__(
        self, which: str, size: tuple[int, int] | None, frame_rate: Fraction | None, log: Callable[[str], None]
    ) -> None:
        self._which = which
        self._wishes = size, frame_rate
        self._log = log
        device = self._open()
        if device is None:
            kind = "camera" if which.isdecimal() else "camera or video at"
            raise ResourceError(f"no {kind} {which}: --list-devices shows what there is, --video pattern needs none")
        self.width = int(device.get(cv2.CAP_PROP_FRAME_WIDTH))
        self.height = int(device.get(cv2.CAP_PROP_FRAME_HEIGHT))
        self.frame_rate = _frame_rate(device)
        self.dropped = 0
        self._newest: tuple[Any, int, int] | None = None
        self._start: int | None = None
        self._ended = False
        self._change = threading.Condition()
        self._closed = threading.Event()
        self._pace = Pace()
        self._thread = threading.Thread(target=self._run, args=(device,), name="camera", daemon=True)
        self._thread.start()

    def read(self) -> Picture | None:
        """Blocks for a picture newer than the last, as long as the camera is away; None at a file's end, and closed."""
        with self._change:
            self._change.wait_for(lambda: self._newest is not None or self._ended)
            if self._newest is None:
                return None
            image, capture_time, media_time = self._newest
            self._newest = None
        frame = av.VideoFrame.from_numpy_buffer(image, "bgr24" if image.ndim == 3 else "gray")
        return Picture(frame, capture_time, media_time)

    def close(self) -> None:
        self._closed.set()
        self._pace.close()
        self._end()
        self._thread.join(RETRY_INTERVAL)

    def _run(self, device: Any) -> None:
        # A camera has no number of pictures. A file has, and would be read through in a moment.
        finite = device.get(cv2.CAP_PROP_FRAME_COUNT) > 0
        number = 0
        while not self._closed.is_set():
            worked, image = device.read()
            if worked and finite:
                self._pace.wait(self._pace.due(int(number * SECOND / self.frame_rate)))
            if worked:
                self._show(image, time.monotonic_ns())
                number += 1
            elif finite:
                break
            else:
                device.release()
                device = self._reopen()
                if device is None:
                    break
        if device is not None:
            device.release()
        self._end()

    def _show(self, image: Any, now: int) -> None:
        with self._change:
            self._start = now if self._start is None else self._start
            self.dropped += self._newest is not None
            self._newest = image, now, now - self._start
            self._change.notify_all()

    def _end(self) -> None:
        with self._change:
            self._ended = True
            self._change.notify_all()

    def _reopen(self) -> Any:
        """Tries until it works; None when closed."""
        self._log(f"camera {self._which} is gone; trying again every second")
        while not self._closed.wait(RETRY_INTERVAL):
            device = self._open()
            if device is not None:
                self._log(f"camera {self._which} is back")
                return device
        return None

    def _open(self) -> Any:
        is_device = self._which.isdecimal() or self._which.startswith("/dev/")
        try:
            device = self._capture()
        except cv2.error:
            return None
        if not device.isOpened():
            device.release()
            return None
        if is_device:
            self._configure(device)
        return device

    def _capture(self) -> Any:
        if self._which.isdecimal():
            return cv2.VideoCapture(int(self._which))
        if "://" not in self._which:
            return cv2.VideoCapture(self._which)
        timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, TIMEOUT_MS]
        return cv2.VideoCapture(self._which, cv2.CAP_ANY, timeouts)

    def _configure(self, device: Any) -> None:
        """Compressed pictures (USB has no room for raw ones at full size), and no queue of old ones."""
        size, frame_rate = self._wishes
        if device.getBackendName() == "V4L2":
            device.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        if size is not None:
            device.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
            device.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
        if frame_rate is not None:
            device.set(cv2.CAP_PROP_FPS, float(frame_rate))
        device.set(cv2.CAP_PROP_BUFFERSIZE, 1)


def _frame_rate(device: Any) -> Fraction:
    rate = device.get(cv2.CAP_PROP_FPS)
    return Fraction(rate).limit_denominator(1001) if 1 <= rate <= 1000 else DEFAULT_RATE


def _silence() -> None:
    """OpenCV and its FFmpeg report every failed attempt on stderr, where our status line is."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
