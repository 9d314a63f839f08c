"""Picture → access unit: which encoder does what was asked for."""

from __future__ import annotations

from fractions import Fraction

from protocol.errors import UsageError
from sender.encode import jpeg
from sender.encode.h264 import open_h264
from sender.encode.vp8 import open_vp8
from sender.media import VideoEncoder

SMALLEST = 16
LARGEST = 8192


def open_video_encoder(codec: str, width: int, height: int, frame_rate: Fraction, bitrate: int) -> VideoEncoder:
    """An encoder of `codec` (h264, vp8, jpeg) for pictures of about `width` x `height`, at most `bitrate` bit/s.

    Odd sizes lose their last column or row (JPEG: up to 7, RFC 2435 counts in blocks of 8). Pictures of any other size
    and any pixel format are made to fit. Raises UsageError for what can't be encoded, ResourceError when the codec
    refuses.
    """
    if not (SMALLEST <= width <= LARGEST and SMALLEST <= height <= LARGEST):
        raise UsageError(
            f"cannot encode {width}x{height}: use a --size from {SMALLEST}x{SMALLEST} to {LARGEST}x{LARGEST}"
        )
    if codec == "h264":
        return open_h264(width & ~1, height & ~1, frame_rate, bitrate)
    if codec == "vp8":
        return open_vp8(width & ~1, height & ~1, frame_rate, bitrate)
    if codec == "jpeg":
        if max(width, height) >= jpeg.LARGEST + jpeg.BLOCK:
            raise UsageError(
                f"JPEG over RTP carries at most {jpeg.LARGEST}x{jpeg.LARGEST}, not {width}x{height}: "
                "use a smaller --size or --video-codec h264"
            )
        return jpeg.JpegEncoder(width & ~7, height & ~7, frame_rate, bitrate)
    raise UsageError(f"no video codec {codec!r}: use h264, vp8, jpeg or copy")
