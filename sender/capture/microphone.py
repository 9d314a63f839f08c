"""A microphone through PortAudio: its callback fills a bounded queue, the reader empties it."""

from __future__ import annotations

import atexit
import contextlib
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protocol.command.quiet import silence_libraries
from protocol.errors import ResourceError, UsageError
from sender.media import Sound

SECOND = 1_000_000_000
BLOCK_RATE = 100
QUEUE_BLOCKS = 50
SILENCE = 1.0
"""seconds without a callback after which the device counts as gone, and between attempts to get it back."""
START_TIME = 3.0
"""seconds a device may take from being opened to its first callback."""
CLOSE_CHECK = 0.1
PATIENCE = 2.0
"""seconds that closing may take: a sound server that hangs never answers."""
SMOOTHING = 16
"""blocks over which the jitter of PortAudio's times (some ms) is evened out; samples themselves come evenly."""
MISFIT = 200_000_000
"""ns between expected and stated time beyond which sound must be missing."""


@dataclass(frozen=True, slots=True)
class Microphone:
    """An input device as PortAudio lists it."""

    index: int
    name: str
    channels: int
    rate: int
    default: bool


def list_microphones() -> list[Microphone]:
    """Every input there is now. Raises ResourceError without PortAudio."""
    sounddevice = load_sounddevice()
    default = sounddevice.default.device[0]
    return [
        Microphone(i, d["name"], d["max_input_channels"], int(d["default_samplerate"]), i == default)
        for i, d in enumerate(sounddevice.query_devices())
        if d["max_input_channels"] > 0
    ]


def open_microphone(
    which: str | None = None,
    rate: int = 48_000,
    channels: int = 1,
    log: Callable[[str], None] = lambda _line: None,
) -> MicrophoneAudio:
    """The system's own microphone, or the one of that index or whose name contains `which`.

    When it can't do `rate` or `channels`, its own are taken. `log` gets one line when it goes away and one when it is
    back. Raises UsageError for an unknown device, ResourceError when it refuses.
    """
    return MicrophoneAudio(load_sounddevice(), which, rate, channels, log)


def load_sounddevice() -> Any:
    """The library, which needs the system's PortAudio. Raises ResourceError when that is missing."""
    try:
        import sounddevice
    except OSError as error:
        raise ResourceError(
            "no PortAudio for microphones: install libportaudio2, or use --audio tone, FILE or none"
        ) from error
    silence_libraries()
    return sounddevice


class MicrophoneAudio:
    """An AudioSource. `dropped` counts the sample frames that came while the queue was full, `overflows` how often
    PortAudio itself lost some; the position jumps over both."""

    def __init__(
        self, sounddevice: Any, which: str | None, rate: int, channels: int, log: Callable[[str], None]
    ) -> None:
        self._sounddevice = sounddevice
        self._which = which
        self._log = log
        device = self._find()
        self.name: str = device.name
        self.rate, self.channels = _settle(sounddevice, device, rate, channels)
        self.dropped = 0
        self.overflows = 0
        self._blocks: queue.Queue[Sound] = queue.Queue(QUEUE_BLOCKS)
        self._closed = threading.Event()
        self._position = 0
        self._end: int | None = None
        self._heard = self._away = False
        self._stream = self._start(device.index)

    @property
    def latency(self) -> float:
        """seconds from the sound to the callback, as PortAudio states it."""
        return float(self._stream.latency) if self._stream is not None else 0.0

    def read(self) -> Sound | None:
        """Blocks for about 10 ms of sound, also while the device is away; None once closed."""
        waiting = time.monotonic()
        while not self._closed.is_set():
            try:
                sound = self._blocks.get(timeout=CLOSE_CHECK)
            except queue.Empty:
                if time.monotonic() - waiting > (SILENCE if self._heard else START_TIME):
                    self._recover()
                    waiting = time.monotonic()
                continue
            self._heard = True
            if self._away:
                self._away = False
                self._log(f"microphone {self.name} is back")
            return sound
        return None

    def close(self) -> None:
        self._closed.set()
        closing = threading.Thread(target=self._stop, name="microphone", daemon=True)
        closing.start()
        closing.join(PATIENCE)
        if closing.is_alive():  # stuck, as sounddevice would be when it ends PortAudio with the program
            atexit.unregister(self._sounddevice._exit_handler)

    def _callback(self, samples: NDArray[np.float32], frames: int, times: Any, status: Any) -> None:
        """PortAudio's thread: never waits."""
        captured = _capture_time(times, frames, self.rate)
        self.overflows += bool(status.input_overflow)
        if self._end is not None:
            error = captured - self._end
            if status.input_overflow or abs(error) > MISFIT:
                self._position += max(0, error * self.rate // SECOND)
            else:
                captured = self._end + error // SMOOTHING
        try:
            self._blocks.put_nowait(Sound(samples.copy(), captured, self._position))
        except queue.Full:
            self.dropped += frames
        self._position += frames
        self._end = captured + frames * SECOND // self.rate

    def _find(self) -> Microphone:
        microphones = list_microphones()
        if self._which is None:
            found = [m for m in microphones if m.default] or microphones[:1]
        elif self._which.isdecimal():
            found = [m for m in microphones if m.index == int(self._which)]
        else:
            found = [m for m in microphones if self._which.lower() in m.name.lower()]
        if found:
            return found[0]
        if self._which is None:
            raise ResourceError("no microphone here: use --audio tone, FILE or none")
        raise UsageError(f"no microphone {self._which!r}: --list-devices shows their names and numbers")

    def _start(self, index: int) -> Any:
        try:
            stream = self._sounddevice.InputStream(
                device=index,
                samplerate=self.rate,
                channels=self.channels,
                blocksize=self.rate // BLOCK_RATE,
                dtype="float32",
                latency="low",
                callback=self._callback,
            )
            stream.start()
        except self._sounddevice.PortAudioError as error:
            raise ResourceError(f"the microphone {self.name} refuses: {_reason(error)}") from error
        return stream

    def _stop(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            try:
                stream.close()
            except self._sounddevice.PortAudioError:
                return  # the device has gone before

    def _recover(self) -> None:
        """The device is silent: opens it again, for as long as that takes."""
        if not self._away:
            self._log(f"microphone {self.name} is gone; trying again every second")
        self._heard, self._away = False, True
        self._stop()
        while not self._closed.wait(SILENCE):
            # PortAudio lists devices only when it starts.
            self._sounddevice._terminate()
            self._sounddevice._initialize()
            with contextlib.suppress(ResourceError, UsageError):
                self._stream = self._start(self._find().index)
                return


def _settle(sounddevice: Any, device: Microphone, rate: int, channels: int) -> tuple[int, int]:
    """What was wished for if the device can, else its own rate, and as many channels as it has of 1 or 2."""
    channels = min(channels, device.channels)
    try:
        sounddevice.check_input_settings(device=device.index, channels=channels, dtype="float32", samplerate=rate)
    except sounddevice.PortAudioError:
        return device.rate, min(2, device.channels)
    return rate, channels


def _capture_time(times: Any, frames: int, rate: int) -> int:
    """Monotonic ns of the block's first sample: at least its own length ago, also where PortAudio's times are empty."""
    age = times.currentTime - times.inputBufferAdcTime if times.inputBufferAdcTime > 0 else 0.0
    return time.monotonic_ns() - int(max(age if age < 1 else 0.0, frames / rate) * SECOND)


def _reason(error: Exception) -> str:
    return str(error.args[0]) if error.args else "no reason given"
