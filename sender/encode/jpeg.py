"""JPEG by OpenCV, of the kind RFC 2435 can carry."""

from __future__ import annotations

import math
from fractions import Fraction

from protocol.errors import ResourceError
from sender.encode.libav import rtp_timestamp
from sender.encode.scale import fit
from sender.libraries import cv2
from sender.media import AccessUnit, Picture

BLOCK = 8
"""RFC 2435 §3.1.5: width and height are counted in blocks of 8 pixels."""
LARGEST = 255 * BLOCK
LOWEST_QUALITY, HIGHEST_QUALITY = 5, 95
STEPS_PER_DOUBLING = 10
"""of the quality, roughly, for twice the bytes."""


class JpegEncoder:
    """Baseline 4:2:0 with the standard Huffman tables and a restart marker after each row of blocks.

    The quality follows the bit-rate, a step at a time.
    """

    encoding = "JPEG"

    def __init__(self, width: int, height: int, frame_rate: Fraction, bitrate: int) -> None:
        """`width` and `height`: multiples of 8 up to 2040."""
        self.format_parameters: dict[str, str] = {}
        self._size = width, height
        self._frame_rate = frame_rate
        self._bitrate = bitrate
        self._quality = 60

    def encode(self, picture: Picture) -> list[AccessUnit]:
        image = fit(picture.frame, *self._size).to_ndarray(format="bgr24")
        settings = [
            *(cv2.IMWRITE_JPEG_QUALITY, self._quality),
            *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420),
            *(cv2.IMWRITE_JPEG_RST_INTERVAL, -(-self._size[0] // 16)),
        ]
        worked, data = cv2.imencode(".jpg", image, settings)
        if not worked:
            raise ResourceError("the JPEG encoder failed")
        self._steer(len(data))
        return [AccessUnit(data.tobytes(), rtp_timestamp(picture.media_time), picture.capture_time)]

    def request_key_frame(self) -> None:
        """Every picture is one."""

    def set_bitrate(self, bits_per_second: int) -> None:
        self._bitrate = max(10_000, bits_per_second)

    def close(self) -> None:
        """Nothing is held."""

    def _steer(self, size: int) -> None:
        target = float(self._bitrate / 8 / self._frame_rate)
        step = round(STEPS_PER_DOUBLING * math.log2(target / size))
        self._quality = min(HIGHEST_QUALITY, max(LOWEST_QUALITY, self._quality + min(step, 3)))
