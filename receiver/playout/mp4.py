"""What is played, encoded again: H.264 and AAC in an MP4 file, readable up to its last fragment if we are killed."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from protocol.errors import ResourceError
from receiver.libraries import av
from receiver.media import Image
from receiver.playout.background import Writer
from receiver.playout.outputs import Log

if TYPE_CHECKING:
    from av import VideoFrame
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.video.stream import VideoStream

_CLOCK = 90_000
_QUEUE = 256
"""pictures and blocks of sound: about 2 s."""
_TOLERANCE = 0.040
"""s the sound's count may run behind the clock before it is moved."""


class Mp4File:
    """A VideoOutput, and a Listener for sound (`hear`). It begins with the first picture; later ones are scaled to it.

    Raises ResourceError when the file cannot be created.
    """

    def __init__(self, path: str, rate: int | None, channels: int, log: Log, *, patient: bool = False) -> None:
        """`rate` of the sound in Hz; None: without sound. `patient`: nothing is left out, however long it takes."""
        try:
            Path(path).open("wb").close()
        except OSError as error:
            raise ResourceError(f"{path} cannot be written: {error.strerror}") from error
        self._path = path
        self._rate = rate
        self._channels = channels
        self._container: OutputContainer | None = None
        self._video: VideoStream
        self._audio: AudioStream | None = None
        self._begin = 0
        self._next_picture = 0
        self._next_sample: int | None = None
        self._writer: Writer[Image | tuple[NDArray[np.float32], int]] = Writer(
            path, self._write, self._finish, log, _QUEUE, patient=patient
        )

    @property
    def failed(self) -> bool:
        return self._writer.failed

    @property
    def dropped(self) -> int:
        """pictures and blocks of sound the encoder had no time for."""
        return self._writer.dropped

    def show(self, image: Image) -> None:
        self._writer.put(image)

    def hear(self, block: NDArray[np.float32], now: int) -> None:
        self._writer.put((block, now))

    def close(self) -> None:
        self._writer.close()

    def _write(self, item: Image | tuple[NDArray[np.float32], int]) -> None:
        if isinstance(item, Image):
            self._encode_picture(item)
        elif self._container is not None and self._audio is not None:
            self._encode_sound(*item)

    def _open(self, image: Image) -> OutputContainer:
        options = {"movflags": "+hybrid_fragmented", "frag_duration": "1000000", "flush_packets": "1"}
        container = av.open(self._path, "w", format="mp4", container_options=options)
        self._video = container.add_stream("libx264", options={"preset": "superfast", "crf": "21"})
        self._video.width, self._video.height = image.frame.width & ~1, image.frame.height & ~1
        self._video.pix_fmt = "yuv420p"
        self._video.codec_context.time_base = Fraction(1, _CLOCK)
        self._video.codec_context.gop_size = 60
        self._video.codec_context.max_b_frames = 0  # their delay is not undone by every player of fragments
        if self._rate is not None:
            layout = "mono" if self._channels == 1 else "stereo"
            self._audio = container.add_stream("aac", rate=self._rate, layout=layout)
            self._audio.codec_context.time_base = Fraction(1, self._rate)
        self._begin = image.playout_time
        return container

    def _encode_picture(self, image: Image) -> None:
        if self._container is None:
            self._container = self._open(image)
        frame = self._fitting(image.frame)
        pts = max(self._next_picture, (image.playout_time - self._begin) * _CLOCK // 1_000_000_000)
        frame.pts, frame.time_base = pts, Fraction(1, _CLOCK)
        frame.pict_type = 0
        self._next_picture = pts + 1
        self._container.mux(self._video.encode(frame))

    def _fitting(self, frame: VideoFrame) -> VideoFrame:
        """A copy of the file's size and format: the picture belongs to others too."""
        if (frame.width, frame.height, frame.format.name) == (self._video.width, self._video.height, "yuv420p"):
            return av.VideoFrame.from_ndarray(cast("NDArray[np.uint8]", frame.to_ndarray()), "yuv420p")
        return frame.reformat(self._video.width, self._video.height, "yuv420p")

    def _encode_sound(self, block: NDArray[np.float32], now: int) -> None:
        assert self._container is not None
        assert self._audio is not None
        assert self._rate is not None
        due = (now - self._begin) * self._rate // 1_000_000_000
        if due < 0:
            return
        if self._next_sample is None or due - self._next_sample > _TOLERANCE * self._rate:
            self._next_sample = due
        layout = "mono" if self._channels == 1 else "stereo"
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block.T), "fltp", layout)
        frame.sample_rate, frame.pts, frame.time_base = self._rate, self._next_sample, Fraction(1, self._rate)
        self._next_sample += len(block)
        self._container.mux(self._audio.encode(frame))

    def _finish(self) -> None:
        if self._container is None:
            return
        try:
            if not self._writer.failed:
                for stream in (self._video, self._audio):
                    if stream is not None:
                        self._container.mux(stream.encode(None))
        finally:
            self._container.close()
