"""Any picture, made the size and pixel format that an encoder was opened for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sender.libraries import av

if TYPE_CHECKING:
    from av import VideoFrame

SPARE = 8
"""pixels that are cut off rather than scaled away: encoders round odd sizes down by less than this."""

_BT709, _FULL_RANGE = 1, 2  # AVCOL_SPC_BT709, AVCOL_RANGE_JPEG


def fit(frame: VideoFrame, width: int, height: int) -> VideoFrame:
    """`frame` as yuv420p (BT.601, limited range) of even `width` x `height`.

    A few pixels too many are cut off at the right and the bottom; any other size is scaled with its shape kept, and
    black fills the rest. Returns `frame` itself when there is nothing to do.
    """
    if 0 <= frame.width - width < SPARE and 0 <= frame.height - height < SPARE:
        plain = _convert(frame, frame.width, frame.height)
        return plain if (plain.width, plain.height) == (width, height) else _paste(plain, width, height)
    ratio = min(width / frame.width, height / frame.height)
    inner = _even(frame.width * ratio, width), _even(frame.height * ratio, height)
    scaled = _convert(frame, *inner)
    return scaled if inner == (width, height) else _paste(scaled, width, height)


def _even(length: float, limit: int) -> int:
    return max(2, min(limit, 2 * round(length / 2)))


def _convert(frame: VideoFrame, width: int, height: int) -> VideoFrame:
    """One swscale pass, or none. The matrix and range are only touched when the frame says that they differ."""
    options: dict[str, Any] = {}
    if frame.colorspace == _BT709:
        options |= {"src_colorspace": "ITU709", "dst_colorspace": "ITU601"}
    if frame.color_range == _FULL_RANGE:
        options |= {"src_color_range": "JPEG", "dst_color_range": "MPEG"}
    return frame.reformat(width, height, "yuv420p", **options)


def _paste(source: VideoFrame, width: int, height: int) -> VideoFrame:
    """The yuv420p `source` in the middle of a black picture, or its upper left part."""
    canvas = np.empty((height * 3 // 2, width), np.uint8)
    luma, chroma = canvas[:height], canvas[height:].reshape(2, height // 2, width // 2)
    for target, plane, black in zip((luma, *chroma), source.planes, (16, 128, 128), strict=True):
        picture = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[:, : plane.width]
        _centre(target, picture, black)
    return av.VideoFrame.from_numpy_buffer(canvas, "yuv420p")


def _centre(target: NDArray[np.uint8], picture: NDArray[np.uint8], black: int) -> None:
    rows, columns = min(len(target), len(picture)), min(target.shape[1], picture.shape[1])
    top, left = (len(target) - rows) // 2, (target.shape[1] - columns) // 2
    if (rows, columns) != target.shape:
        target.fill(black)
    target[top : top + rows, left : left + columns] = picture[:rows, :columns]
