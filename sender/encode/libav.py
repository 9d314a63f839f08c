"""The part that H.264 and VP8 share: one picture in, one access unit out, through a codec of PyAV."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING

from protocol.errors import ResourceError
from sender.encode.scale import fit
from sender.libraries import av
from sender.media import AccessUnit, Picture

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext

CLOCK_RATE = 90_000
BUFFER_TIME = Fraction(2, 5)
TIGHT_BUFFER_TIME = Fraction(1, 10)
"""where a path is full, what a burst holds waits in its queue."""
LOOSE = 0.6
"""of the rate that a codec was opened for: below, its buffer is so large for the rate that single seconds
exceed it by far, and it is opened again with less."""
HEADROOM = 1.2
"""then: to follow upwards without another key frame."""
RECONFIGURE_STEP = 0.1
"""a codec that must be opened again to change its rate (and so sends a key frame) is left alone for less than this."""


def rtp_timestamp(media_time: int) -> int:
    """ns → ticks of the 90 kHz video clock, rounded."""
    return (media_time * CLOCK_RATE + 500_000_000) // 1_000_000_000


def open_context(context: VideoCodecContext) -> VideoCodecContext:
    """Opens it, and sees to it that the codec took every option (PyAV ignores unknown ones in silence)."""
    try:
        context.open()
    except av.error.FFmpegError as error:
        raise ResourceError(f"the encoder {context.name} refuses: {error.strerror}") from error
    if context.options:
        raise ResourceError(f"the encoder {context.name} does not know {', '.join(context.options)}")
    return context


class LibavEncoder:
    """A VideoEncoder over a libav codec. `create` opens the codec for a ceiling in bits a second, and for a buffer in
    seconds of it: as much as a burst may hold.

    The frame of an encoded picture gets its `pts` and `pict_type` changed.
    """

    def __init__(
        self,
        encoding: str,
        create: Callable[[int, Fraction], VideoCodecContext],
        bitrate: int,
        format_parameters: dict[str, str],
        *,
        adjustable: bool,
    ) -> None:
        """`adjustable`: the open codec follows `bit_rate` anywhere below the rate it was opened for."""
        self.encoding = encoding
        self.format_parameters = format_parameters
        self._create = create
        self._adjustable = adjustable
        self._wanted = self._current = self._ceiling = self._most = bitrate
        self._context = create(bitrate, BUFFER_TIME)
        self._count = 0
        self._key_frame_wanted = True

    def encode(self, picture: Picture) -> list[AccessUnit]:
        """One access unit, at once. Raises ResourceError when the codec fails."""
        self._follow_bitrate()
        frame = fit(picture.frame, self._context.width, self._context.height)
        frame.pts = self._count
        frame.time_base = self._context.time_base
        # A decoded frame carries the type it had in its file, and the encoder would obey.
        frame.pict_type = av.video.frame.PictureType.NONE
        if self._key_frame_wanted:  # looked at before it is cleared: a request from another thread is never lost
            self._key_frame_wanted = False
            frame.pict_type = av.video.frame.PictureType.I
        self._count += 1
        try:
            packets = self._context.encode(frame)
        except av.error.FFmpegError as error:
            raise ResourceError(f"the encoder {self._context.name} failed: {error.strerror}") from error
        timestamp = rtp_timestamp(picture.media_time)
        return [AccessUnit(bytes(p), timestamp, picture.capture_time, p.is_keyframe) for p in packets]

    def request_key_frame(self) -> None:
        self._key_frame_wanted = True

    def set_bitrate(self, bits_per_second: int) -> None:
        """From the next picture on."""
        self._wanted = max(10_000, bits_per_second)

    def close(self) -> None:
        """Nothing to wait for: no picture is ever held back."""

    def _follow_bitrate(self) -> None:
        wanted = self._wanted
        if wanted == self._current:
            return
        if self._adjustable and LOOSE * self._ceiling <= wanted <= self._ceiling:
            self._context.bit_rate = wanted
        elif self._adjustable:
            self._most = max(self._most, wanted)
            self._open(min(self._most, int(HEADROOM * wanted)))
            self._context.bit_rate = wanted
        elif abs(wanted - self._current) > RECONFIGURE_STEP * self._current:
            self._open(wanted)
        else:
            return
        self._current = wanted

    def _open(self, ceiling: int) -> None:
        self._context = self._create(ceiling, BUFFER_TIME if ceiling == self._most else TIGHT_BUFFER_TIME)
        self._ceiling = ceiling
        self._count = 0
        self._key_frame_wanted = True
