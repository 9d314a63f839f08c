"""Pictures: access unit to image, at once.

FFmpeg decodes on through damage and says nothing about it, so what a picture was predicted from is tracked here. Every
picture since a loss is marked damaged until one that needs no other was whole: an IDR or key frame, or the end of the
intra-refresh that a recovery point announces. Damaged pictures are shown as far as they are worth it (`damage`),
undecodable ones are not.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from protocol.errors import Unsupported
from receiver.decode import h264
from receiver.decode.damage import Hold, Recovery
from receiver.libraries import av
from receiver.media import AccessUnit, Format, Image, VideoPlayoutStatistics

if TYPE_CHECKING:
    from av import VideoFrame
    from av.video.codeccontext import VideoCodecContext

_DECODERS = {"H264": "h264", "VP8": "vp8", "JPEG": "mjpeg"}
_SHOWABLE = {"yuv420p", "yuvj420p"}
_RESTARTS = b"\xff\xdd\x00\x04"
"""what announces restart markers in a JPEG file (ITU-T T.81 §B.2.4.4): the missing parts of it come from the picture
before. Without them they are grey."""
_MOST_REORDERED = 32
"""units in the decoder at once; H.264 allows 16 frames (§A.3.1)."""


@dataclass(slots=True)
class References:
    """Whether what the next picture is predicted from is whole."""

    remaining: int | None = None
    """whole pictures until it is; None: not before a key frame comes."""

    def damage(self) -> None:
        self.remaining = None

    def decode(self, whole: bool, frames_to_recovery: int | None) -> bool:
        """One picture of which all packets were there or not, and with which decoding may begin or not.
        Returns whether it is as it was meant to be."""
        if not whole:
            self.remaining = None
        elif self.remaining is None or frames_to_recovery == 0:
            self.remaining = frames_to_recovery
        elif self.remaining:
            self.remaining -= 1
        return self.remaining == 0


@dataclass(slots=True)
class _Rhythm:
    """The units that had data, by their timestamps: how many pictures a gap had."""

    last: AccessUnit | None = None
    step: int = 0
    """ticks between the last two that followed each other."""
    gap: bool = False
    """something is missing since the last one."""

    def missed(self, unit: AccessUnit) -> int:
        """When the first picture is played that `unit` (without data) stands for, monotonic ns."""
        self.gap = True
        if self.last is None or not self.step:
            return unit.playout_time
        return self.last.playout_time + self.step * 1_000_000_000 // unit.format.clock_rate

    def came(self, unit: AccessUnit) -> int:
        """How many pictures are missing before this one."""
        last, gap = self.last, self.gap
        self.last, self.gap = unit, False
        ticks = 0 if last is None else unit.timestamp - last.timestamp
        if gap or unit.missing:
            return max(int(gap), round(ticks / self.step) - 1 if self.step else 0)
        self.step = ticks if ticks > 0 else self.step
        return 0


class VideoDecoder:
    """One video stream's units to images. Never raises for what is in a unit.

    Raises Unsupported for an encoding it does not know.
    """

    def __init__(self, format: Format, out_of_band: bytes = b"") -> None:
        self._encoding = format.encoding.upper()
        if self._encoding not in _DECODERS:
            raise Unsupported("encoding", f"no decoder for video {format.encoding}")
        self._out_of_band = out_of_band
        self._context = self._open()
        self._references = References()
        self._started = False
        self._rhythm, self._hold, self._recovery = _Rhythm(), Hold(), Recovery()
        self._pending: dict[int, tuple[AccessUnit, bool, bool]] = {}
        """by timestamp: each unit in the decoder, whether its picture is damaged, and whether it is to be shown."""
        self._statistics = VideoPlayoutStatistics()

    @property
    def needs_key_frame(self) -> bool:
        """Pictures stay missing or damaged until one comes: ask the sender (PLI)."""
        return self._encoding != "JPEG" and self._references.remaining is None

    def statistics(self) -> VideoPlayoutStatistics:
        """The decoder's share: frames received, decoded, damaged, held, dropped_network, dropped_decode, width, height,
        and the time to a clean picture."""
        return replace(
            self._statistics,
            recovery_p50_ms=self._recovery.percentile_ms(0.5),
            recovery_p95_ms=self._recovery.percentile_ms(0.95),
        )

    def decode(self, unit: AccessUnit) -> list[Image]:
        """The images that are ready, in the order they are shown: the unit's own, except in streams with B-frames."""
        if not unit.data:
            self._references.damage()
            self._count(dropped_network=1)
            if self._started:
                self._recovery.damaged(self._rhythm.missed(unit))
            return []
        if self._encoding == "H264" and not h264.has_picture(unit.data):
            self._feed(unit.data, None)
            return []
        self._count(frames_received=1)
        frames_to_recovery = self._frames_to_recovery(unit.data)
        if not self._started and frames_to_recovery is None:
            self._count(dropped_decode=1)
            return []
        self._started = True
        intact = self._references.decode(unit.missing == 0, frames_to_recovery)
        return self._decode(unit, damaged=not intact, shown=self._is_worth_it(unit, intact=intact))

    def _is_worth_it(self, unit: AccessUnit, *, intact: bool) -> bool:
        """Whether its picture is to be shown. Call it once for each."""
        gap = self._rhythm.came(unit)
        if intact:
            self._hold.clean()
            self._recovery.clean(unit.playout_time)
            return True
        self._recovery.damaged(unit.playout_time)
        if self._encoding == "JPEG":
            return _RESTARTS in unit.data
        self._hold.gap(gap)
        return not self._hold.holds(unit.missing / unit.packets if unit.packets else 0.0)

    def flush(self) -> list[Image]:
        """What the decoder still holds when the stream ends (B-frames)."""
        images = self._images(self._feed(None, None) or [])
        self._context = self._open()
        self._references.damage()
        self._started = False
        return images

    def _decode(self, unit: AccessUnit, *, damaged: bool, shown: bool) -> list[Image]:
        while len(self._pending) >= _MOST_REORDERED:
            del self._pending[next(iter(self._pending))]
        self._pending[unit.timestamp] = unit, damaged, shown
        frames = self._feed(unit.data, unit.timestamp)
        if frames is None:
            self._pending.pop(unit.timestamp, None)
            self._references.damage()
            self._recovery.damaged(unit.playout_time)
            self._count(**{"dropped_network" if unit.missing else "dropped_decode": 1})
            return []
        return self._images(frames)

    def _images(self, frames: list[VideoFrame]) -> list[Image]:
        return [image for frame in frames if (image := self._image(frame)) is not None]

    def _image(self, frame: VideoFrame) -> Image | None:
        found = self._pending.pop(frame.pts, None) if frame.pts is not None else None
        if found is None:
            return None
        unit, damaged, shown = found
        if frame.format.name not in _SHOWABLE:
            frame = frame.reformat(format="yuvj420p" if frame.format.name.startswith("yuvj") else "yuv420p")
        self._count(frames_decoded=1, damaged=int(damaged and shown), held=int(not shown))
        self._statistics = replace(self._statistics, width=frame.width, height=frame.height)
        if not shown:
            return None
        return Image(frame, unit.timestamp, unit.playout_time, unit.arrival_time, damaged)

    def _feed(self, data: bytes | None, timestamp: int | None) -> list[VideoFrame] | None:
        """None when the decoder refuses it."""
        packet = None if data is None else av.Packet(data)
        if packet is not None:
            packet.pts = timestamp
        try:
            return self._context.decode(packet)
        except (av.FFmpegError, ValueError):
            return None

    def _frames_to_recovery(self, data: bytes) -> int | None:
        """0 where decoding may begin with this unit, None where it may not."""
        match self._encoding:
            case "H264":
                return h264.frames_to_recovery(data)
            case "VP8":
                return None if data[0] & 1 else 0  # RFC 6386 §9.1: 0 is a key frame
            case _:
                return 0

    def _open(self) -> VideoCodecContext:
        context = cast("VideoCodecContext", av.CodecContext.create(_DECODERS[self._encoding], "r"))
        flags = av.codec.context.Flags
        context.flags |= flags.low_delay | flags.output_corrupt
        context.thread_type = "SLICE"  # frame threads would hold one picture back each
        context.thread_count = min(4, os.cpu_count() or 1)
        if self._out_of_band:
            context.extradata = self._out_of_band
        return context

    def _count(self, **increments: int) -> None:
        self._statistics = replace(
            self._statistics, **{name: getattr(self._statistics, name) + more for name, more in increments.items()}
        )
