"""Figures that are not counted by anyone, but sampled: with each look at the session, or each picture shown."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from receiver.account.histogram import Histogram
from receiver.media import Image, StreamKey
from receiver.playout.audio import AudioTimeline
from receiver.report.snapshot import Percentiles
from receiver.session import SessionStatistics


class Skew:
    """Audio playout minus video playout of the same capture instant, sampled with each picture shown."""

    def __init__(self, timeline: Callable[[], AudioTimeline | None]) -> None:
        self._timeline = timeline
        self._sizes = Histogram()
        self.planned: int | None = None
        """what the session aims at, ns."""

    def shown(self, image: Image, now: int) -> None:
        timeline = self._timeline()
        if self.planned is None or timeline is None or not timeline.playing:
            return
        skew = self.planned + timeline.lag - max(0, now - image.playout_time)
        self._sizes.add(np.array([abs(skew) // 1000], np.int64))

    def percentiles(self) -> Percentiles | None:
        p50, p95 = self._sizes.percentile(0.5), self._sizes.percentile(0.95)
        return None if p50 is None or p95 is None else Percentiles(p50=p50 / 1e3, p95=p95 / 1e3)


class Rates:
    """Bit-rates between one look and the next."""

    def __init__(self) -> None:
        self._before: dict[StreamKey, tuple[int, int]] = {}

    def update(self, statistics: SessionStatistics, now: int) -> dict[StreamKey, float]:
        rates = {}
        for s in statistics.streams:
            octets, at = self._before.get(s.key, (0, 0))
            if at and now > at:
                rates[s.key] = (s.octets - octets) * 8e9 / (now - at)
            self._before[s.key] = s.octets, now
        return rates
