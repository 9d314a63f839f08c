"""Real coded pictures and sound, and what decoders make of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sender.libraries import av, cv2

WIDTH, HEIGHT = 320, 176
Image = NDArray[np.uint8]


@lru_cache(maxsize=4)
def pictures(count: int, width: int = WIDTH, height: int = HEIGHT) -> tuple[av.VideoFrame, ...]:
    """A moving test pattern with noise, so that the coded frames span several packets."""
    source = f"testsrc2=size={width}x{height}:rate=30,noise=alls=12:allf=t:all_seed=7,format=yuv420p"
    with av.open(source, format="lavfi") as container:
        frames = container.decode(video=0)
        return tuple(next(frames) for _ in range(count))


def encode(codec: str, frames: Sequence[av.VideoFrame], options: Mapping[str, str]) -> list[bytes]:
    context = av.CodecContext.create(codec, "w")
    context.width, context.height, context.pix_fmt = frames[0].width, frames[0].height, "yuv420p"
    context.time_base = Fraction(1, 30)
    context.bit_rate = 2_000_000
    context.options = dict(options)
    units = []
    for number, frame in enumerate([*frames, None]):
        if frame is not None:
            frame.pts = number
            frame.pict_type = av.video.frame.PictureType.NONE  # as decoded it is "I", which forces a key frame
        units += [bytes(packet) for packet in context.encode(frame)]
    return units


def decode(codec: str, units: Sequence[bytes], extradata: bytes = b"") -> list[Image]:
    """Planes of every picture, yuv420p as one array of 1.5 times the height."""
    context = av.CodecContext.create(codec, "r")
    context.thread_count = 1
    if extradata:
        context.extradata = extradata
    images = []
    for unit in [*units, b""]:
        packet = av.Packet(unit) if unit else None
        images += [frame.to_ndarray() for frame in context.decode(packet)]
    return images


def same(left: Sequence[Image], right: Sequence[Image]) -> bool:
    return len(left) == len(right) and all(np.array_equal(a, b) for a, b in zip(left, right, strict=True))


def psnr(left: Image, right: Image) -> float:
    error = np.mean((left.astype(np.float64) - right.astype(np.float64)) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def jpeg(frame: av.VideoFrame, quality: int, restart_interval: int = 0, sampling: int | None = None) -> bytes:
    """A file from libjpeg; `sampling` one of cv2's constants, 4:2:0 unless told."""
    parameters = [
        cv2.IMWRITE_JPEG_QUALITY, quality,
        cv2.IMWRITE_JPEG_RST_INTERVAL, restart_interval,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling or cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    ]  # fmt: skip
    good, data = cv2.imencode(".jpg", frame.to_ndarray(format="bgr24"), parameters)
    assert good
    return bytes(data)


def jpeg_pixels(data: bytes) -> Image:
    """Decoded by libjpeg, shape (height, width, 3)."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image
