"""Numbered pictures written in real time at one end and read at the other, and programs whose CPU time is known."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from tests.support import media
from tests.support.peers import ROOT, is_bound

WIDTH, HEIGHT, FPS = 640, 360, 30
SIZE = WIDTH * HEIGHT * 3 // 2
HEADER = f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{FPS}:1 Ip A1:1 C420jpeg\n".encode()
MARK = b"FRAME\n"
_CYCLE = 60
_PIPE = 1 << 20
_WAV_HEADER = 44
_NUMBERS = 1 << 12
"""numbers that a picture's squares can tell apart."""


def scene() -> list[NDArray[np.uint8]]:
    """I420 pictures, shape (HEIGHT * 3 // 2, WIDTH), that follow each other in a circle: a texture with grain drifts
    by, so that a megabit a second has to be fought for."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    turn = 2 * np.pi * x / WIDTH
    texture = 125 + 40 * np.sin(3 * turn + y / 17) + 35 * np.sin(y / 11 + 2 * np.cos(turn))
    texture += np.random.default_rng(3).normal(0, 8, texture.shape)
    luma = np.clip(texture, 16, 235).astype(np.uint8)
    pictures = []
    for number in range(_CYCLE):
        picture = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
        picture[:HEIGHT] = np.roll(luma, (number * WIDTH // _CYCLE), axis=1)
        pictures.append(picture)
    return pictures


class Feeder:
    """Writes pictures 0, 1, 2 … into a FIFO, FPS a second, from a thread of its own, and remembers when."""

    def __init__(self, fifo: Path, count: int, *, raw: bool = False) -> None:
        """`raw`: without YUV4MPEG2's header and marks."""
        self.written: dict[int, int] = {}
        """number → monotonic ns at which its writing began."""
        self._fifo, self._count = fifo, count
        self._header, self._mark = (b"", b"") if raw else (HEADER, MARK)
        self._scene = scene()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def wait_for(self, number: int, timeout: float = 60.0) -> None:
        """Until the writing of that picture has begun."""
        end = time.monotonic() + timeout
        while number not in self.written:
            assert time.monotonic() < end, f"picture {number} was not read in time"
            time.sleep(0.01)

    def join(self, timeout: float) -> None:
        """Until the last picture has been written."""
        self._thread.join(timeout)
        assert not self._thread.is_alive(), "the pictures were not read in time"

    def _run(self) -> None:
        descriptor = os.open(self._fifo, os.O_WRONLY)
        try:
            _enlarge(descriptor)
            _write(descriptor, self._header)
            start = time.monotonic_ns()
            for number in range(self._count):
                picture = self._scene[number % _CYCLE]
                media.write_number(picture[:HEIGHT], number)
                data = self._mark + picture.tobytes()
                due = start + number * 1_000_000_000 // FPS
                time.sleep(max(0, due - time.monotonic_ns()) / 1e9)
                self.written[number] = time.monotonic_ns()
                _write(descriptor, data)
        except BrokenPipeError:
            return
        finally:
            os.close(descriptor)


class SoundReader:
    """Reads the WAV stream that a program writes into a FIFO as it plays, from a thread of its own."""

    def __init__(self, fifo: Path) -> None:
        self._fifo = fifo
        self._data = bytearray()
        self._begin = 1 << 63
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def join(self, timeout: float) -> None:
        """Until the FIFO was closed at its other end."""
        self._thread.join(timeout)
        assert not self._thread.is_alive(), "the receiving program did not close its sound"

    @property
    def sound(self) -> media.Sound:
        """The first of its two channels, shape (frames,)."""
        samples = np.frombuffer(self._data[: len(self._data) // 4 * 4], "<i2").reshape(-1, 2)[:, 0]
        return samples.astype(np.float32) / np.float32(32768)

    def time(self, frame: int) -> float:
        """Monotonic ns at which a frame was played: each block is written when its first frame is due, and the one
        that was read soonest says when the first of all was."""
        return self._begin + frame * 1e9 / media.RATE

    def _run(self) -> None:
        descriptor = os.open(self._fifo, os.O_RDONLY)
        try:
            _fill(descriptor, memoryview(bytearray(_WAV_HEADER)))
            while data := os.read(descriptor, 1 << 16):
                self._begin = min(self._begin, time.monotonic_ns() - len(self._data) * 10**9 // (4 * media.RATE))
                self._data += data
        finally:
            os.close(descriptor)


class Reader:
    """Reads pictures from a pipe as they come, from a thread of its own, and remembers when which was there."""

    def __init__(self, descriptor: int, *, raw: bool = False) -> None:
        """Of any size, or `raw`: I420 of WIDTH x HEIGHT, without YUV4MPEG2's header and marks."""
        self.read: dict[int, int] = {}
        """number → monotonic ns at which its last byte was there, the first time."""
        self.unreadable = 0
        self._descriptor, self._raw = descriptor, raw
        _enlarge(descriptor)
        self._newest = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def join(self, timeout: float) -> None:
        """Until the pipe was closed at its other end."""
        self._thread.join(timeout)
        assert not self._thread.is_alive(), "the receiving program did not close its output"

    def _run(self) -> None:
        with os.fdopen(self._descriptor, "rb", buffering=0) as pipe:
            width, height = (WIDTH, HEIGHT) if self._raw else _size(_line(pipe.fileno()))
            picture = np.empty((height * 3 // 2, width), np.uint8)
            while (self._raw or _line(pipe.fileno())) and len(picture) and _fill(pipe.fileno(), picture.data.cast("B")):
                self.note(picture[:height], time.monotonic_ns())

    def note(self, luma: NDArray[np.uint8], now: int) -> None:
        """Takes down one picture, whose last byte was there `now`; runs on the thread that reads."""
        code = media.read_number(luma)
        if code is None:
            self.unreadable += 1
            return
        step = (code - self._newest + _NUMBERS // 2) % _NUMBERS - _NUMBERS // 2
        self.read.setdefault(self._newest + step, now)
        self._newest += max(0, step)


def delays(feeder: Feeder, reader: Reader, skip: int = 30) -> NDArray[np.float64]:
    """ms from writing to reading of each picture that came, without the first `skip`. shape (n,)."""
    both = sorted(number for number in reader.read if number >= skip and number in feeder.written)
    return np.array([(reader.read[number] - feeder.written[number]) / 1e6 for number in both])


class Program:
    """A program that runs beside a benchmark; its CPU time is known once it has ended."""

    def __init__(self, command: Sequence[object], log: Path, *, read: bool = False) -> None:
        """`read`: its standard output is a pipe, `output`; else it goes to `log`, as errors do."""
        self.log = log
        environment = os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [str(part) for part in command], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if read else file, stderr=file,
            )  # fmt: skip
        self.pid = self.process.pid
        self.cpu: float | None = None
        """seconds of user and system time; None while it runs."""

    def output(self) -> int:
        """The descriptor of its standard output; the caller closes it."""
        assert self.process.stdout is not None
        with self.process.stdout as pipe:
            return os.dup(pipe.fileno())

    def __enter__(self) -> Program:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if not self._ended():
            os.kill(self.pid, signal.SIGKILL)  # not by Popen, which would reap it and lose its CPU time
            self.end(5)

    def wait_for_port(self, port: int, timeout: float = 15.0) -> None:
        """Until somebody has bound the UDP port."""
        end = time.monotonic() + timeout
        while not is_bound(port):
            assert not self._ended(), f"{self.log.stem} ended:\n{self.log.read_text()[-2000:]}"
            assert time.monotonic() < end, f"{self.log.stem} does not listen on port {port}"
            time.sleep(0.02)

    def interrupt(self) -> None:
        """Ctrl-C."""
        if not self._ended():
            os.kill(self.pid, signal.SIGINT)

    def end(self, timeout: float = 15.0) -> float:
        """Waits for its end; its CPU seconds. AssertionError with its log when it takes too long."""
        end = time.monotonic() + timeout
        while not self._ended():
            assert time.monotonic() < end, f"{self.log.stem} did not end:\n{self.log.read_text()[-2000:]}"
            time.sleep(0.02)
        assert self.cpu is not None
        return self.cpu

    def used(self) -> float:
        """CPU seconds so far, to a hundredth."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> int:
        """Resident bytes now."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def _ended(self) -> bool:
        if self.cpu is None:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                self.process.returncode = os.waitstatus_to_exitcode(status)
                self.cpu = usage.ru_utime + usage.ru_stime
        return self.cpu is not None


def python(module: str, *arguments: object) -> list[object]:
    """A module of ours as a command."""
    return [sys.executable, "-m", module, *arguments]


def proxy(maps: Iterable[tuple[int, ...]], *options: object) -> list[object]:
    """The network between two programs; it says "ready" once it listens."""
    pairs = [part for ports in maps for part in ("--map", ":".join(map(str, ports)))]
    return python("tests.support.proxy", *pairs, *options)


def show(name: str, values: NDArray[np.float64], unit: str = "ms") -> None:
    """One line of figures."""
    middle, high = np.percentile(values, (50, 95))
    print(f"{name:28} median {middle:7.1f}  p95 {high:7.1f}  max {values.max():7.1f} {unit}  ({len(values)} values)")


def _enlarge(descriptor: int) -> None:
    import fcntl

    fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE)


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _fill(descriptor: int, rest: memoryview) -> bool:
    while rest:
        count = os.readv(descriptor, [rest])
        if not count:
            return False
        rest = rest[count:]
    return True


def _size(header: bytes) -> tuple[int, int]:
    """Width and height; 0 where the stream ended before it began."""
    fields = {field[:1]: field[1:] for field in header.split()}
    return int(fields.get(b"W", 0)), int(fields.get(b"H", 0))


def _line(descriptor: int) -> bytes:
    """Up to and with the line feed; b"" at the end."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(descriptor, 1)
        if not byte:
            return b""
        line += byte
    return line
