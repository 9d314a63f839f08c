"""From access units to pictures and sound: a thread that decodes each stream."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from receiver.decode.audio import AudioDecoder
from receiver.decode.video import VideoDecoder
from receiver.media import AccessUnit, AudioPlayoutStatistics, Image, StreamKey, VideoPlayoutStatistics
from receiver.playout.audio import AudioTimeline

QUEUE = 256
"""access units between the network and a decoder: 8 s of pictures, 5 s of sound."""


class Worker(Protocol):
    """Takes units off the hands of who delivers them."""

    dropped: int

    def put(self, unit: AccessUnit) -> None: ...

    def close(self, timeout: float = ...) -> None: ...


class DecodeThread:
    """Takes units off the network thread's hands; a full queue drops the unit and counts it."""

    def __init__(self, name: str, work: Callable[[AccessUnit], None], finish: Callable[[], None]) -> None:
        self._queue: queue.Queue[AccessUnit | None] = queue.Queue(QUEUE)
        self._work, self._finish = work, finish
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, unit: AccessUnit) -> None:
        try:
            self._queue.put_nowait(unit)
        except queue.Full:
            self.dropped += 1

    def close(self, timeout: float = 0.5) -> None:
        """Decodes what is queued, then ends."""
        try:
            self._queue.put(None, timeout=timeout)
        except queue.Full:
            return
        self._thread.join(timeout)

    def _run(self) -> None:
        while (unit := self._queue.get()) is not None:
            self._work(unit)
        self._finish()


@dataclass(frozen=True, slots=True)
class Running:
    """How players work: on threads and in real time, or, in a replay, where they are called and in virtual time."""

    worker: Callable[[str, Callable[[AccessUnit], None], Callable[[], None]], Worker] = DecodeThread
    """(name, work, finish) -> who does it."""
    clock: Callable[[], int] = time.monotonic_ns


REAL_TIME = Running()


class VideoPlayer:
    """One video stream into a scheduler. `on_damage(key, why)` is called when the decoder needs a key frame."""

    def __init__(
        self,
        first: AccessUnit,
        out_of_band: bytes,
        show: Callable[[Image], None],
        on_damage: Callable[[StreamKey, str], None],
        now: int,
        running: Running = REAL_TIME,
    ) -> None:
        self.key = first.stream
        self.played = now
        """when the last picture came out of the decoder; before one did, when it began (monotonic ns)."""
        self._decoder = VideoDecoder(first.format, out_of_band)
        self._show, self._on_damage, self._clock = show, on_damage, running.clock
        self._thread = running.worker("decode-video", self._decode, self._flush)
        self.put, self.close = self._thread.put, self._thread.close

    @property
    def dropped(self) -> int:
        """Units that found the queue full."""
        return self._thread.dropped

    def _decode(self, unit: AccessUnit) -> None:
        for image in self._decoder.decode(unit):
            self.played = self._clock()
            self._show(image)
        if self._decoder.needs_key_frame and unit.missing == 0 and unit.data:
            self._on_damage(self.key, "the decoder cannot go on")

    def _flush(self) -> None:
        for image in self._decoder.flush():
            self._show(image)

    def statistics(self) -> VideoPlayoutStatistics:
        """The decoder's share."""
        return self._decoder.statistics()


class AudioPlayer:
    """One audio stream into a timeline that the sound card pulls."""

    def __init__(
        self,
        first: AccessUnit,
        timeline: AudioTimeline,
        device: Callable[[], AudioPlayoutStatistics],
        now: int,
        running: Running = REAL_TIME,
    ) -> None:
        self.key = first.stream
        self.played = now
        """when sound that came was decoded last (monotonic ns)."""
        self._timeline = timeline
        self._device, self._clock = device, running.clock
        self._decoder = AudioDecoder(first.format)
        self._thread = running.worker("decode-audio", self._decode, lambda: None)
        self.put, self.close = self._thread.put, self._thread.close

    @property
    def dropped(self) -> int:
        """Units that found the queue full."""
        return self._thread.dropped

    def _decode(self, unit: AccessUnit) -> None:
        for samples in self._decoder.decode(unit):
            if unit.data and not samples.concealed:
                self.played = self._clock()
            self._timeline.push(samples)

    def statistics(self) -> AudioPlayoutStatistics:
        """The decoder's, the timeline's and the device's share."""
        return replace(self._device(), fec_recovered_samples=self._decoder.fec_recovered_samples)
