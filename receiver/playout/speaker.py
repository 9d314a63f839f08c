"""The sound card, through PortAudio. It pulls the timeline, and so is the master of the receiving side's clock."""

from __future__ import annotations

import atexit
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from threading import Event, Thread
from typing import Any

from protocol.command.quiet import silence_libraries
from protocol.errors import ResourceError, UsageError
from receiver.media import AudioPlayoutStatistics
from receiver.playout.audio import AudioTimeline
from receiver.playout.outputs import Listener, Log

_BLOCK = 480
"""frames of a callback: 10 ms at 48 kHz."""
_RETRY = 1.0
_STUCK = 3.0
"""s without a callback: the device has gone without saying so."""
_PATIENCE = 2.0
"""s that closing may take: a sound server that hangs never answers."""


@dataclass(frozen=True, slots=True)
class SpeakerDevice:
    """One output device."""

    index: int
    name: str
    host_api: str
    channels: int
    rate: int
    """Hz it prefers."""
    default: bool


def list_speakers() -> list[SpeakerDevice]:
    """Raises ResourceError when PortAudio is missing."""
    sounddevice = _portaudio()
    apis = sounddevice.query_hostapis()
    default = sounddevice.default.device[1]
    return [
        SpeakerDevice(
            index,
            device["name"],
            apis[device["hostapi"]]["name"],
            device["max_output_channels"],
            round(device["default_samplerate"]),
            index == default,
        )
        for index, device in enumerate(sounddevice.query_devices())
        if device["max_output_channels"] > 0
    ]


class Speaker:
    """A sound card that plays a timeline. When it is unplugged the timeline waits, and goes on when it is back."""

    def __init__(self, name: str | None, timeline: AudioTimeline, log: Log, listeners: Sequence[Listener]) -> None:
        self._name = name
        self._timeline = timeline
        self._log = log
        self._listeners = tuple(listeners)
        self._underruns = 0
        self._latency: float | None = None
        self._called = time.monotonic()
        self._ended = False
        self._stream: Any = self._open()
        self._closing = Event()
        self._keeper = Thread(target=self._keep, name="speaker", daemon=True)
        self._keeper.start()

    @property
    def latency(self) -> int:
        """ns from the callback to the loudspeaker, as the device says."""
        return round((self._latency or 0.0) * 1e9)

    def statistics(self) -> AudioPlayoutStatistics:
        return replace(self._timeline.statistics(), underruns=self._underruns, device_latency_s=self._latency)

    def close(self) -> None:
        self._closing.set()
        self._keeper.join(_PATIENCE)
        if self._keeper.is_alive():
            _leave()

    def _open(self) -> Any:
        sounddevice = _portaudio()
        try:
            stream = sounddevice.OutputStream(
                samplerate=self._timeline.rate,
                channels=self._timeline.channels,
                dtype="float32",
                blocksize=_BLOCK * self._timeline.rate // 48000,
                device=_device(self._name),
                latency="low",
                callback=self._callback,
                finished_callback=self._finished,
            )
            self._ended = False
            self._called = time.monotonic()
            stream.start()
        except sounddevice.PortAudioError as error:
            raise ResourceError(f"the speaker cannot be opened: {_reason(error)}") from error
        self._latency = stream.latency
        return stream

    def _callback(self, output: Any, frames: int, times: Any, status: Any) -> None:
        self._called = time.monotonic()
        now = time.monotonic_ns()
        self._underruns += bool(status.output_underflow)
        delay = times.outputBufferDacTime - times.currentTime
        if delay > 0:
            self._latency = delay
        block = self._timeline.pull(frames, now)
        output[:] = block
        for listener in self._listeners:
            listener(block, now)

    def _finished(self) -> None:
        self._ended = True

    def _keep(self) -> None:
        while not self._closing.wait(_RETRY / 4):
            if self._stream is not None and not self._gone():
                continue
            if self._stream is not None:
                self._log("the speaker is gone; playing goes on without it until it is back")
                _stop(self._stream)
                self._stream = None
            self._reopen()
        _stop(self._stream)

    def _gone(self) -> bool:
        return self._ended or not self._stream.active or time.monotonic() - self._called > _STUCK

    def _reopen(self) -> None:
        if self._closing.wait(_RETRY):
            return
        sounddevice = _portaudio()
        try:
            sounddevice._terminate()  # PortAudio lists devices only once
            sounddevice._initialize()
            self._stream = self._open()
        except (ResourceError, UsageError, sounddevice.PortAudioError):
            return
        self._log("the speaker is back")


def open_speaker(name: str | None, timeline: AudioTimeline, log: Log, listeners: Sequence[Listener] = ()) -> Speaker:
    """Begins to play `timeline` on the device of that name (or part of it), or index; None: the default.

    Raises UsageError for a name no device has, ResourceError when there is no sound card or no PortAudio.
    """
    return Speaker(name, timeline, log, listeners)


def _device(name: str | None) -> int | None:
    speakers = list_speakers()
    if not speakers:
        raise ResourceError("there is no sound card; use --audio none, or --audio FILE.wav to keep the sound")
    if name is None:
        return None
    wanted = name.casefold()
    for matches in (
        [s for s in speakers if str(s.index) == name],
        [s for s in speakers if s.name.casefold() == wanted],
        [s for s in speakers if wanted in s.name.casefold()],
    ):
        if matches:
            return matches[0].index
    raise UsageError(f"no speaker is called {name!r}; --list-devices shows those there are")


def _portaudio() -> Any:
    try:
        import sounddevice
    except (OSError, ImportError) as error:
        raise ResourceError("PortAudio is missing: install it (Debian: libportaudio2)") from error
    silence_libraries()
    return sounddevice


def _stop(stream: Any) -> None:
    if stream is None:
        return
    try:
        stream.abort()
        stream.close()
    except _portaudio().PortAudioError:
        return


def _leave() -> None:
    """PortAudio is stuck, and would be at the end of the program too, where sounddevice ends it."""
    atexit.unregister(_portaudio()._exit_handler)


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())
