"""The picture shown last, as a small JPEG, made when somebody asks and not more often than is worth it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from receiver.libraries import av, cv2
from receiver.media import Image

Source = Callable[[], Image | None]
WIDTH = 640
QUALITY = 75
INTERVAL = 400_000_000
"""ns between one JPEG and the next."""


class Pictures:
    """Safe to use from many threads: the frame, which others show at the same time, is only read."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._reformatter = av.video.reformatter.VideoReformatter()
        self._jpeg: bytes | None = None
        self._image: Image | None = None
        self._made = -INTERVAL

    def jpeg(self, now: int) -> bytes | None:
        """At most WIDTH wide; None before the first picture. `now`: monotonic ns."""
        with self._lock:
            image = self._source()
            if image is not self._image and now - self._made >= INTERVAL:
                self._image, self._made = image, now
                self._jpeg = None if image is None else self._encode(image)
            return self._jpeg

    def _encode(self, image: Image) -> bytes | None:
        frame = image.frame
        width = min(WIDTH, frame.width) // 2 * 2
        height = max(2, round(frame.height * width / frame.width) // 2 * 2)
        small = self._reformatter.reformat(frame, width, height, "bgr24").to_ndarray()
        made, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        return data.tobytes() if made else None
