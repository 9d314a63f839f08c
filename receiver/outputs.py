"""Opens what the configuration asks to play on, and says in one line what cannot be had."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from protocol.errors import FatalError, ResourceError
from receiver.config import ReceiverConfig
from receiver.libraries import cv2
from receiver.media import AudioPlayoutStatistics, Image
from receiver.playout.audio import AudioTimeline
from receiver.playout.display import missing_display
from receiver.playout.mp4 import Mp4File
from receiver.playout.outputs import AudioOutput, Listener, Log, VideoOutput
from receiver.playout.picture_file import PictureFile
from receiver.playout.scheduler import VideoScheduler
from receiver.playout.sound_file import VirtualSpeaker, WavFile
from receiver.playout.speaker import Speaker, open_speaker
from receiver.playout.window import Window, bgr

RATE, CHANNELS = 48_000, 2


class Pictures:
    """The scheduler as an output sees it; remembers what was shown last, and tells how late."""

    def __init__(self, scheduler: VideoScheduler, on_shown: Callable[[Image, int], None]) -> None:
        self._scheduler, self._on_shown = scheduler, on_shown
        self.last: Image | None = None
        self.next_time, self.skip = scheduler.next_time, scheduler.skip

    def due(self, now: int) -> Image | None:
        """For a window: the newest picture that is due."""
        return self._remember(self._scheduler.due(now), now)

    def first_due(self, now: int) -> Image | None:
        """For files: each picture that is due."""
        return self._remember(self._scheduler.first_due(now), now)

    def _remember(self, image: Image | None, now: int) -> Image | None:
        if image is not None:
            self.last = image
            self._on_shown(image, now)
        return image

    def save(self, path: str) -> None:
        """The last picture as PNG. Raises ResourceError."""
        if self.last is None:
            raise ResourceError(f"{path}: no picture was shown, so none is kept")
        written, data = cv2.imencode(".png", bgr(self.last.frame))
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_bytes(data.tobytes() if written else b"")
        except OSError as error:
            raise ResourceError(f"{path} cannot be written: {error.strerror}") from error


class Screen:
    """Shows pictures, each at its moment, on outputs that are not a window."""

    def __init__(self, pictures: Pictures, outputs: Sequence[VideoOutput]) -> None:
        self._pictures, self._outputs = pictures, tuple(outputs)
        self._changed = threading.Condition()
        self._until: float | None = None
        """monotonic s of the end; None: not known yet."""
        self._thread = threading.Thread(target=self._run, name="playout-video", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """A picture was submitted."""
        with self._changed:
            self._changed.notify()

    def close(self, timeout: float = 2.0) -> None:
        """Shows what still waits for its moment, as far as that comes in `timeout` s, then closes the outputs; one that
        takes nothing (a pipe nobody reads) is left as it is."""
        with self._changed:
            self._until = time.monotonic() + timeout
            self._changed.notify()
        self._thread.join(timeout + 0.5)
        if not self._thread.is_alive():
            for output in self._outputs:
                output.close()

    def _run(self) -> None:
        while self._wait():
            image = self._pictures.first_due(time.monotonic_ns())
            if image is not None:
                for output in self._outputs:
                    output.show(image)

    def _wait(self) -> bool:
        """Until a picture is due; False when there will be none."""
        with self._changed:
            while True:
                due = self._pictures.next_time()
                now = time.monotonic()
                if self._until is not None and (due is None or now >= self._until):
                    return False
                wait = 1.0 if due is None else due / 1e9 - now
                if due is not None and wait <= 0:
                    return True
                self._changed.wait(wait if self._until is None else min(wait, self._until - now))


@dataclass(slots=True)
class Outputs:
    """What was opened."""

    scheduler: VideoScheduler
    pictures: Pictures | None
    """None: pictures are not decoded."""
    timeline: AudioTimeline | None
    """None: sound is not decoded."""
    screen: Screen | None = None
    window: Window | None = None
    sound: AudioOutput | None = None
    changed: threading.Event | None = None
    """set when a picture was submitted; what the window waits on."""
    mp4: Mp4File | None = None

    def show(self, image: Image) -> None:
        """A decoded picture, from the decoder's thread."""
        self.scheduler.submit(image)
        if self.screen is not None:
            self.screen.wake()
        elif self.changed is not None:
            self.changed.set()

    @property
    def device_latency(self) -> int:
        """ns between the playout time of sound and its being heard: what the timeline and the device add."""
        device = self.sound.latency if isinstance(self.sound, Speaker) else 0
        return device + (self.timeline.delay if self.timeline is not None else 0)

    def sound_statistics(self) -> AudioPlayoutStatistics:
        return AudioPlayoutStatistics() if self.sound is None else self.sound.statistics()

    def dropped(self) -> dict[str, int]:
        """What an output had no time for, by its name."""
        return {} if self.mp4 is None else {"mp4": self.mp4.dropped}

    def close(self) -> None:
        """Pictures first: they may still wait for their moment."""
        if self.screen is not None:
            self.screen.close()
        if self.window is not None:
            self.window.close()
        if self.sound is not None:
            self.sound.close()


def open_outputs(
    config: ReceiverConfig,
    *,
    overlay: Callable[[], Sequence[str]],
    on_shown: Callable[[Image, int], None],
    log: Log,
    fail: Log,
) -> Outputs:
    """Raises FatalError when what was asked for explicitly cannot be had; a default that cannot is one line. A file
    that cannot be written any more is one line to `fail`."""
    timeline = None if config.audio == "none" else AudioTimeline(RATE, CHANNELS)
    scheduler = VideoScheduler()
    pictures = Pictures(scheduler, on_shown)
    outputs = Outputs(scheduler, pictures, timeline)
    if config.video.lower().endswith(".mp4"):
        outputs.mp4 = Mp4File(config.video, RATE if timeline else None, CHANNELS, fail)
    mp4 = outputs.mp4
    if timeline is not None:
        outputs.sound = _open_sound(config, timeline, [mp4.hear] if mp4 else [], log, fail)
        if outputs.sound is None:
            outputs.timeline = None
    if config.video == "window" and _display(config, log):
        outputs.changed = threading.Event()
        outputs.window = Window("Steadycast", sound=outputs.timeline, statistics=overlay, now=time.monotonic_ns())
    elif config.video in ("window", "none"):
        if config.picture is None:
            outputs.pictures = None
        else:
            outputs.screen = Screen(pictures, [])
    else:
        outputs.screen = Screen(pictures, [mp4 or PictureFile(config.video, fail)])
    return outputs


def _display(config: ReceiverConfig, log: Log) -> bool:
    reason = missing_display()
    if reason is None:
        return True
    if "video" in config.given:
        raise ResourceError(reason)
    log(f"{reason}; pictures are received and measured, not shown")
    return False


def _open_sound(
    config: ReceiverConfig, timeline: AudioTimeline, listeners: list[Listener], log: Log, fail: Log
) -> AudioOutput | None:
    kind, _, name = config.audio.partition(":")
    if kind == "speaker":
        try:
            return open_speaker(name or None, timeline, log, listeners)
        except FatalError as error:
            if "audio" in config.given:
                raise
            log(f"{error}; sound is received and measured, not played")
            return VirtualSpeaker(timeline, listeners) if listeners else None
    wav = WavFile(config.audio, RATE, CHANNELS, fail)
    return VirtualSpeaker(timeline, listeners, [wav])
