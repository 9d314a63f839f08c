"""YUV4MPEG2 from standard input or a FIFO: each picture as soon as its last byte is there."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import stat
import threading
import time
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from protocol.errors import ResourceError, UsageError
from sender.capture.pace import Pace
from sender.libraries import av
from sender.media import Picture

if TYPE_CHECKING:
    from av import VideoFrame

SECOND = 1_000_000_000
MARK = b"FRAME\n"
HEADER_LIMIT = 1024
PIPE_SIZE = 1 << 20
"""bytes a pipe is asked to hold, so that the writer can put a whole picture in at once."""
POLL_INTERVAL = 100
"""ms between looks at the caller's `stop` while the header is waited for."""

_FORMATS = {"420": "yuv420p", "420jpeg": "yuv420p", "420mpeg2": "yuv420p", "420paldv": "yuv420p"}
_FORMATS |= {"422": "yuv422p", "444": "yuv444p", "mono": "gray"}


@dataclass(frozen=True, slots=True)
class Header:
    """The first line of a YUV4MPEG2 stream."""

    width: int
    height: int
    frame_rate: Fraction
    pixel_format: str
    """as PyAV calls it."""

    def planes(self) -> list[tuple[int, int]]:
        """(rows, columns) of each, in the order they are sent."""
        if self.pixel_format == "gray":
            return [(self.height, self.width)]
        rows = -(-self.height // 2) if self.pixel_format == "yuv420p" else self.height
        columns = self.width if self.pixel_format == "yuv444p" else -(-self.width // 2)
        return [(self.height, self.width), (rows, columns), (rows, columns)]

    @property
    def size(self) -> int:
        """bytes of a picture."""
        return sum(rows * columns for rows, columns in self.planes())


def parse_header(line: bytes) -> Header:
    """Reads `YUV4MPEG2 W640 H360 F30:1 Ip A1:1 C420jpeg`. Raises ValueError with what is wrong."""
    tag, *fields = line.decode("ascii", "replace").split() or [""]
    if tag != "YUV4MPEG2":
        raise ValueError("is not YUV4MPEG2")
    values = {field[0]: field[1:] for field in reversed(fields)}
    if not re.fullmatch(r"[1-9]\d{0,4}", values.get("W", "")) or not re.fullmatch(r"[1-9]\d{0,4}", values.get("H", "")):
        raise ValueError("has no width and height in its YUV4MPEG2 header")
    if values.get("I", "p") not in "p?":
        raise ValueError("is interlaced: deinterlace it first (ffmpeg -vf bwdif)")
    colour = values.get("C", "420jpeg")
    if colour not in _FORMATS:
        raise ValueError(f"has the pixel format C{colour}: use C420, C422, C444 or Cmono with 8 bits")
    rate = re.fullmatch(r"(\d+):(\d+)", values.get("F", ""))
    known = rate and int(rate[1]) and int(rate[2])
    frame_rate = Fraction(int(rate[1]), int(rate[2])) if rate and known else Fraction(30)
    return Header(int(values["W"]), int(values["H"]), frame_rate, _FORMATS[colour])


def is_pipe(path: str) -> bool:
    """Whether `path` is standard input (-) or a FIFO."""
    try:
        return path == "-" or stat.S_ISFIFO(os.stat(path).st_mode)
    except OSError:
        return False


def open_pipe(path: str = "-", stop: threading.Event | None = None) -> PipeVideo:
    """Waits for the header of YUV4MPEG2 on standard input (-), a FIFO or a file.

    `stop`, set by another thread, ends the wait with a ResourceError. Raises UsageError when there is nothing to open
    or it is something else.
    """
    name = "standard input" if path == "-" else path
    try:
        # Without O_NONBLOCK, opening a FIFO waits for its writer and can't be given up.
        fd = os.dup(0) if path == "-" else os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise UsageError(f"cannot read {name}: {error.strerror}") from error
    reader = _Reader(fd, name)
    try:
        return PipeVideo(reader, _read_header(reader, stop))
    except BaseException:
        reader.close()
        raise


class PipeVideo:
    """A VideoSource. A pipe's pictures come when they come; a file's are paced by its frame rate."""

    def __init__(self, reader: _Reader, header: Header) -> None:
        self.width, self.height, self.frame_rate = header.width, header.height, header.frame_rate
        self._header = header
        self._reader = reader
        self._pace = Pace()
        self._first: int | None = None
        self._count = 0

    def read(self) -> Picture | None:
        """None at the end, and when closed. Raises ResourceError when the stream ends inside a picture."""
        mark, pixels = bytearray(len(MARK)), np.empty(self._header.size, np.uint8)
        if not self._fill(mark, pixels.data):
            return None
        capture_time = time.monotonic_ns()
        if self._reader.is_file:
            media_time = int(self._count * SECOND / self.frame_rate)
            capture_time = self._pace.due(media_time)
            if not self._pace.wait(capture_time):
                return None
        else:
            self._first = capture_time if self._first is None else self._first
            media_time = capture_time - self._first
        self._count += 1
        return Picture(_frame(pixels, self._header), capture_time, media_time)

    def close(self) -> None:
        """Ends a read in another thread."""
        self._pace.close()
        self._reader.close()

    def _fill(self, mark: bytearray, pixels: memoryview) -> bool:
        """Reads FRAME and the picture; False at the end of the stream."""
        if not self._reader.fill(memoryview(mark), pixels):
            return False
        if mark == MARK:
            return True
        if not mark.startswith(b"FRAME"):
            raise ResourceError(f"{self._reader.name} has no FRAME where picture {self._count + 1} should start")
        # "FRAME Ip\n": the rest of the line was taken for pixels.
        end = bytes(pixels[:HEADER_LIMIT]).find(b"\n") + 1
        if end == 0:
            raise ResourceError(f"{self._reader.name} has a FRAME line without an end")
        kept = len(pixels) - end
        pixels[:kept] = bytes(pixels[end:])
        return self._reader.fill(pixels[kept:], inside=True)


class _Reader:
    """A file descriptor that another thread may close while it is waited for."""

    def __init__(self, fd: int, name: str) -> None:
        self.name = name
        self._fd = fd
        self.is_file = stat.S_ISREG(os.fstat(fd).st_mode)
        self._wake, self._waker = os.pipe()
        self._lock = threading.Lock()
        self._closing = False
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        self._poll.register(self._wake, select.POLLIN)
        with contextlib.suppress(OSError, AttributeError):
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_SIZE)

    def ready(self, timeout: int | None = None) -> bool:
        """Waits for data or the end of it, at most `timeout` ms."""
        return any(fd == self._fd for fd, _ in self._poll.poll(timeout)) and not self._closing

    def fill(self, *buffers: memoryview, inside: bool = False) -> bool:
        """Reads until all buffers are full. False at the end of the stream, and when closed. Raises ResourceError when
        it ends after a part of them, or at all when `inside` a picture."""
        with self._lock:
            return self._fill([buffer for buffer in buffers if len(buffer)], inside)

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        os.write(self._waker, b"\0")
        with self._lock:  # whoever reads has left
            for fd in (self._fd, self._wake, self._waker):
                os.close(fd)

    def _fill(self, buffers: list[memoryview], inside: bool) -> bool:
        while buffers:
            if self._closing or not self.ready():
                return False
            try:
                count = os.readv(self._fd, buffers)
            except BlockingIOError:
                continue
            except OSError as error:
                raise ResourceError(f"{self.name} can no longer be read: {error.strerror}") from error
            if count == 0:
                if inside:
                    raise ResourceError(f"{self.name} ended in the middle of a picture")
                return False
            inside = True
            while buffers and count >= len(buffers[0]):
                count -= len(buffers.pop(0))
            if count:
                buffers[0] = buffers[0][count:]
        return True


def _read_header(reader: _Reader, stop: threading.Event | None) -> Header:
    line = bytearray()
    while not line.endswith(b"\n") and len(line) < HEADER_LIMIT:
        while not reader.ready(POLL_INTERVAL):
            if stop is not None and stop.is_set():
                raise ResourceError(f"stopped while {reader.name} had not begun")
        byte = bytearray(1)
        if not reader.fill(memoryview(byte)):
            break
        line += byte
    try:
        if not line:
            raise ValueError("is empty")
        return parse_header(bytes(line))
    except ValueError as error:
        raise UsageError(f"{reader.name} {error}") from error


def _frame(pixels: NDArray[np.uint8], header: Header) -> VideoFrame:
    """Without a copy where PyAV can; it can't for odd sizes and other samplings."""
    if header.pixel_format == "yuv420p" and header.width % 2 == 0 and header.height % 2 == 0:
        return av.VideoFrame.from_numpy_buffer(pixels.reshape(-1, header.width), "yuv420p")
    if header.pixel_format == "gray":
        return av.VideoFrame.from_numpy_buffer(pixels.reshape(-1, header.width), "gray")
    frame = av.VideoFrame(header.width, header.height, header.pixel_format)
    start = 0
    for plane, (rows, columns) in zip(frame.planes, header.planes(), strict=True):
        target = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        target[:rows, :columns] = pixels[start : start + rows * columns].reshape(rows, columns)
        start += rows * columns
    return frame
