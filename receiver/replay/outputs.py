"""Files that are played to in virtual time: pictures and sound as a live receiver's outputs would have had them."""

from __future__ import annotations

from collections.abc import Callable

from protocol.errors import ResourceError
from receiver.config import ReceiverConfig
from receiver.media import AccessUnit, AudioPlayoutStatistics, Image
from receiver.outputs import CHANNELS, RATE, Pictures
from receiver.playout.audio import AudioTimeline
from receiver.playout.mp4 import Mp4File
from receiver.playout.outputs import Listener, Log, VideoOutput
from receiver.playout.picture_file import PictureFile
from receiver.playout.scheduler import VideoScheduler
from receiver.playout.sound_file import VirtualSoundCard, WavFile


class Inline:
    """Decodes where it is called: a worker for players in virtual time."""

    def __init__(self, _name: str, work: Callable[[AccessUnit], None], finish: Callable[[], None]) -> None:
        self.put, self._finish = work, finish
        self.dropped = 0

    def close(self, timeout: float = 0.0) -> None:  # noqa: ARG002
        """Nothing is queued."""
        self._finish()


class VirtualOutputs:
    """What `config` asks to play on. `advance` plays all that is due.

    Raises ResourceError when a file cannot be created; one that takes nothing more is one line to `fail`.
    """

    def __init__(self, config: ReceiverConfig, began: int, on_shown: Callable[[Image, int], None], fail: Log) -> None:
        """Sound begins at `began` (monotonic ns), as a live receiver's does. The window and the speaker, which nobody
        asked for, are none here; an MP4 file has sound unless that was refused."""
        self.scheduler = VideoScheduler()
        video = "none" if config.video == "window" else config.video
        self.pictures: Pictures | None = None
        if video != "none" or config.picture is not None:
            self.pictures = Pictures(self.scheduler, on_shown)
        heard_in_mp4 = video.lower().endswith(".mp4") and config.audio != "none"
        written = None if config.audio in ("none", "speaker") else config.audio
        self.timeline = AudioTimeline(RATE, CHANNELS) if heard_in_mp4 or written is not None else None
        self.mp4: Mp4File | None = None
        self._screen: VideoOutput | None = None
        if video.lower().endswith(".mp4"):
            self._screen = self.mp4 = Mp4File(video, RATE if self.timeline else None, CHANNELS, fail, patient=True)
        elif video != "none":
            self._screen = PictureFile(video, fail)
        self._wav = None if written is None else WavFile(written, RATE, CHANNELS, fail)
        self._card: VirtualSoundCard | None = None
        if self.timeline is not None:
            self._card = VirtualSoundCard(self.timeline, self._listeners(), began)
        self._now = began

    def _listeners(self) -> list[Listener]:
        found: list[Listener] = []
        if self.mp4 is not None:
            found.append(self.mp4.hear)
        if self._wav is not None:
            found.append(self._wav.write)
        return found

    def show(self, image: Image) -> None:
        """A decoded picture."""
        self.scheduler.submit(image)

    @property
    def device_latency(self) -> int:
        """ns between the playout time of sound and its being heard."""
        return 0 if self.timeline is None else self.timeline.delay

    def sound_statistics(self) -> AudioPlayoutStatistics:
        return AudioPlayoutStatistics() if self.timeline is None else self.timeline.statistics()

    def advance(self, now: int) -> None:
        """Pictures and sound up to `now`, in the order of their moments."""
        while True:
            picture = self.scheduler.next_time() if self.pictures is not None else None
            block = None if self._card is None else self._card.next_time
            if block is not None and block <= now and (picture is None or block <= picture):
                assert self._card is not None
                self._card.advance(block)
            elif picture is not None and picture <= now:
                self._show(max(picture, self._now))
            else:
                self._now = max(self._now, now)
                return

    def close(self, now: int) -> int:
        """What still waits for its moment is played, then the files end; when that was."""
        end = now
        while self.pictures is not None and (due := self.scheduler.next_time()) is not None:
            end = max(end, due)
            self.advance(end)
        for output in (self._screen, self._wav):
            if output is not None:
                output.close()
        return end

    def save(self, path: str) -> None:
        """The last picture as PNG. Raises ResourceError."""
        if self.pictures is None:
            raise ResourceError(f"{path}: no picture was shown, so none is kept")
        self.pictures.save(path)

    def _show(self, now: int) -> None:
        assert self.pictures is not None
        image = self.pictures.first_due(now)
        if image is not None and self._screen is not None:
            self._screen.show(image)
