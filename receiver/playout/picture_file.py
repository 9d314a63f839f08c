"""YUV4MPEG2 to a file, FIFO or stdout: each picture written at once, at its playout moment."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from protocol.errors import ResourceError
from receiver.media import Image
from receiver.playout.outputs import Log

if TYPE_CHECKING:
    from av import VideoFrame

_PIPE_SIZE = 1 << 20
"""bytes asked of the kernel for a pipe, so that a picture goes in at once."""


class PictureFile:
    """A VideoOutput. The stream has the first picture's size and range; later ones are scaled to it. `frame_rate` only
    labels the file: a live picture comes when it comes. A FIFO without a reader is no error: pictures are left out
    until one opens it.

    Raises ResourceError when the file cannot be created.
    """

    def __init__(self, path: str, log: Log, frame_rate: Fraction = Fraction(30)) -> None:
        self._name = "stdout" if path == "-" else path
        self._path = path
        self._log = log
        self._frame_rate = frame_rate
        self._shape: tuple[int, int, str] | None = None
        self._fifo = path != "-" and os.path.exists(path) and stat.S_ISFIFO(os.stat(path).st_mode)
        self._descriptor: int | None = 1 if path == "-" else None
        self.failed = False
        if path == "-":
            _enlarge(1)
        elif not self._fifo:
            try:
                self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
            except OSError as error:
                raise ResourceError(f"{path} cannot be written: {error.strerror}") from error

    def show(self, image: Image) -> None:
        if self.failed:
            return
        try:
            if self._descriptor is None:
                self._descriptor = _reader(self._path)
            if self._descriptor is not None:
                self._write(self._picture(image.frame))
        except OSError as error:
            self.failed = True
            reason = "its reader is gone" if error.errno == errno.EPIPE else error.strerror
            self._log(f"{self._name}: {reason}; pictures are not written any more")

    def close(self) -> None:
        if self._descriptor not in (None, 1):
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None

    def _header(self, frame: VideoFrame) -> bytes:
        rate = self._frame_rate
        full = frame.format.name == "yuvj420p"
        colour = "C420jpeg XCOLORRANGE=FULL" if full else "C420mpeg2 XCOLORRANGE=LIMITED"
        return (
            f"YUV4MPEG2 W{frame.width} H{frame.height} F{rate.numerator}:{rate.denominator} Ip A1:1 {colour}\n"
        ).encode()

    def _picture(self, frame: VideoFrame) -> bytes:
        header = b""
        if self._shape is None:
            self._shape = frame.width, frame.height, frame.format.name
            header = self._header(frame)
        if (frame.width, frame.height, frame.format.name) != self._shape:
            frame = frame.reformat(*self._shape)
        return b"".join([header, b"FRAME\n", *planes(frame)])

    def _write(self, data: bytes) -> None:
        assert self._descriptor is not None
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]


def planes(frame: VideoFrame) -> Iterator[memoryview]:
    """Y, U and V of a 4:2:0 picture one after the other, without the padding of their lines."""
    for plane in frame.planes:
        data = memoryview(plane)
        if plane.line_size == plane.width:
            yield data[: plane.width * plane.height]
        else:
            for y in range(plane.height):
                yield data[y * plane.line_size : y * plane.line_size + plane.width]


def _reader(fifo: str) -> int | None:
    """A descriptor for a FIFO that someone reads, None while nobody does."""
    try:
        descriptor = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return None
        raise
    os.set_blocking(descriptor, True)
    _enlarge(descriptor)
    return descriptor


def _enlarge(descriptor: int) -> None:
    """A larger pipe, where the platform and its limits have one."""
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
