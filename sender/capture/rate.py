"""Fewer pictures a second than a source gives."""

from __future__ import annotations

from fractions import Fraction

from sender.media import Picture, VideoSource

SECOND = 1_000_000_000
TOLERANCE = Fraction(1, 4)
"""of the source's interval, by which a picture may come early and still be taken."""


class RateLimit:
    """A VideoSource that passes on at most `frame_rate` pictures a second, evenly spaced as far as they can be."""

    def __init__(self, source: VideoSource, frame_rate: Fraction) -> None:
        self.width, self.height = source.width, source.height
        self.frame_rate = min(frame_rate, source.frame_rate)
        self._source = source
        self._interval = SECOND / frame_rate
        self._tolerance = TOLERANCE * SECOND / source.frame_rate
        self._next = Fraction(0)

    def read(self) -> Picture | None:
        while (picture := self._source.read()) is not None:
            if picture.media_time >= self._next - self._tolerance:
                # The grid is kept, unless the source fell behind it by more than an interval.
                self._next = max(self._next + self._interval, Fraction(picture.media_time))
                return picture
        return None

    def close(self) -> None:
        self._source.close()
