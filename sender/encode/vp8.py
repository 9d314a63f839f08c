"""VP8 by libvpx, in its real-time mode."""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING

from sender.encode.libav import LibavEncoder, open_context
from sender.libraries import av

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext

KEY_FRAME_PERIOD = 4
"""seconds; VP8 has no rolling refresh, so a joiner without RTCP waits for this."""


def open_vp8(width: int, height: int, frame_rate: Fraction, bitrate: int) -> LibavEncoder:
    """Even `width` and `height`. A new bit-rate costs a key frame: libvpx can't be told through libav while open."""
    return LibavEncoder("VP8", partial(_create, width, height, frame_rate), bitrate, {}, adjustable=False)


def _create(width: int, height: int, frame_rate: Fraction, bitrate: int, buffer_time: Fraction) -> VideoCodecContext:
    context = av.CodecContext.create("libvpx", "w")
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.framerate = frame_rate
    context.time_base = 1 / frame_rate
    context.bit_rate = bitrate
    context.gop_size = max(1, round(KEY_FRAME_PERIOD * frame_rate))
    context.thread_count = 1
    context.options = {
        "deadline": "realtime",
        "cpu-used": "8",
        "lag-in-frames": "0",
        "auto-alt-ref": "0",
        "error-resilient": "default",
        "minrate": str(bitrate),
        "maxrate": str(bitrate),
        "bufsize": str(round(bitrate * buffer_time)),
    }
    return open_context(context)
