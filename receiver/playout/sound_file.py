"""A sound card that is none: it pulls the timeline in real time and hands each block on, to a WAV file for one."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Event, Thread

import numpy as np
from numpy.typing import NDArray

from protocol.errors import ResourceError
from receiver.media import AudioPlayoutStatistics
from receiver.playout.audio import AudioTimeline
from receiver.playout.outputs import Listener, Log

_BLOCK = 100
"""blocks a second."""
_LARGEST_BEHIND = 500_000_000
"""ns; a machine that slept does not catch up what it missed."""
_STUCK = 2.0
"""s that a block may take at the end; after that nobody reads what it is written to."""
_UNKNOWN_SIZE = 0xFFFFFFFF
_MAX_SIZE = _UNKNOWN_SIZE - 1
"""of a RIFF file's chunks."""


class VirtualSoundCard:
    """Pulls 10 ms at a time for its listeners, each block when its time is over: nothing plays it, so it need not be
    there before. `advance` is all it does; the thread calls it with the real clock."""

    def __init__(self, timeline: AudioTimeline, listeners: Sequence[Listener], begin: int) -> None:
        self._timeline = timeline
        self._listeners = tuple(listeners)
        self._frames = timeline.rate // _BLOCK
        self._duration = self._frames * 1_000_000_000 // timeline.rate
        self.next_time = begin + self._duration
        """when the next block is over."""

    def advance(self, now: int) -> None:
        """Plays every block that is due."""
        if now - self.next_time > _LARGEST_BEHIND:
            self.next_time = now
        while self.next_time <= now:
            began = self.next_time - self._duration
            block = self._timeline.pull(self._frames, began)
            for listener in self._listeners:
                listener(block, began)
            self.next_time += self._duration


class VirtualSpeaker:
    """A VirtualSoundCard on a thread of its own, in real time: an AudioOutput. Closes `sinks` when it is closed."""

    def __init__(self, timeline: AudioTimeline, listeners: Sequence[Listener], sinks: Sequence[WavFile] = ()) -> None:
        self._timeline = timeline
        self._sinks = tuple(sinks)
        self._card = VirtualSoundCard(timeline, [*listeners, *(sink.write for sink in sinks)], time.monotonic_ns())
        self._closing = Event()
        self._thread = Thread(target=self._run, name="virtual-speaker", daemon=True)
        self._thread.start()

    def statistics(self) -> AudioPlayoutStatistics:
        return self._timeline.statistics()

    def close(self) -> None:
        self._closing.set()
        self._thread.join(_STUCK)
        if not self._thread.is_alive():
            for sink in self._sinks:
                sink.close()

    def _run(self) -> None:
        while not self._closing.wait(max(0, self._card.next_time - time.monotonic_ns()) / 1e9):
            self._card.advance(time.monotonic_ns())


class WavFile:
    """16-bit WAV, written as the sound is played; "-" is stdout. The header is right after every second, so that a file
    whose writer was killed can be played; in a pipe it says "unknown length".

    Raises ResourceError when the file cannot be created. A disk that fills is one line to the log, and ends the file.
    """

    def __init__(self, path: str, rate: int, channels: int, log: Log) -> None:
        self._name = "stdout" if path == "-" else path
        self._rate = rate
        self._channels = channels
        self._log = log
        self._size = 0
        self._described = 0
        self.failed = False
        try:
            self._file = open(1, "wb", 0, closefd=False) if path == "-" else Path(path).open("wb", 0)  # noqa: SIM115
        except OSError as error:
            raise ResourceError(f"{self._name} cannot be written: {error.strerror}") from error
        self._seekable = self._file.seekable()
        try:
            self._file.write(self._header(0 if self._seekable else _UNKNOWN_SIZE))
        except OSError as error:
            self._fail(error)

    def write(self, block: NDArray[np.float32], now: int) -> None:  # noqa: ARG002
        """A Listener: appends the block; a no-op after a failure or 4 GB."""
        data = (np.clip(block, -1, 32767 / 32768) * 32768).round().astype("<i2").tobytes()
        if self.failed or (self._seekable and self._size + len(data) + 36 > _MAX_SIZE):
            return
        try:
            self._file.write(data)
            self._size += len(data)
            if self._seekable and self._size - self._described >= self._rate * self._channels * 2:
                self._describe()
        except OSError as error:
            self._fail(error)

    def close(self) -> None:
        try:
            if self._seekable and not self.failed:
                self._describe()
            self._file.close()
        except OSError as error:
            self._fail(error)

    def _describe(self) -> None:
        self._file.seek(0)
        self._file.write(self._header(self._size))
        self._file.seek(0, os.SEEK_END)
        self._described = self._size

    def _fail(self, error: OSError) -> None:
        if not self.failed:
            self.failed = True
            self._log(f"{self._name}: {error.strerror}; the sound is not written any more")

    def _header(self, size: int) -> bytes:
        frame = 2 * self._channels
        return struct.pack(
            "<4sI4s4sIHHIIHH4sI",
            b"RIFF",
            min(size + 36, _UNKNOWN_SIZE),
            b"WAVE",
            b"fmt ",
            16,
            1,
            self._channels,
            self._rate,
            self._rate * frame,
            frame,
            16,
            b"data",
            size,
        )
