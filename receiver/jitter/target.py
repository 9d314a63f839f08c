"""How long to wait: the target delay of the jitter buffer, a policy that can be replaced.

Lateness is a frame's last arrival minus the moment a packet of least transit would have arrived: the delay
that this frame needed. All times are ns.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from receiver.config import Latency

MILLISECOND = 1_000_000
_WINDOW = 512
"""observations: at least 10 s of 20 ms audio, 17 s of 30 fps video."""
_START = 16
"""observations after which the delay no longer falls as freely as it rises."""
_FALL_PER_SECOND = 4 * MILLISECOND
"""what a resampler bound to 0.5 % can follow."""
_HALF_REFRESH = 8 * MILLISECOND
"""of a screen with 60 pictures a second, which a picture may miss its moment by without being seen to."""
_LEAP = 200 * MILLISECOND
"""too much to be resampled away: sound leaps over that in one cut."""


class TargetDelay(Protocol):
    """The delay between a packet of least transit and its playout, and how much longer a hole may hold it up."""

    def observe(self, lateness: int, now: int) -> None:
        """One frame, complete at `now`, needed this much delay. Call it in the order of capture, late frames apart."""

    def rebase(self, slower: int) -> None:
        """The least transit, from which lateness counts, is now put so much higher (or lower, if negative)."""

    @property
    def delay(self) -> int: ...

    @property
    def patience(self) -> int:
        """beyond `delay`, for a frame that is not whole."""


class FixedDelay:
    """`--latency 60ms`: never moves."""

    patience = 0

    def __init__(self, delay: int) -> None:
        self.delay = delay

    def observe(self, lateness: int, now: int) -> None:
        """A fixed delay learns nothing."""

    def rebase(self, slower: int) -> None:
        """It stands above the least transit, whatever that is."""


class AdaptiveDelay:
    """The quantile of recent lateness that leaves `late_share` of the frames behind: up at once, down slowly.

    A path that stands still for a moment makes a row of frames late that then come quicker than they were captured.
    That is one event and counts as one frame, so a single spike costs itself only and leaves no delay behind; spikes
    that come again and again are waited for.
    """

    def __init__(
        self, *, late_share: float, margin: int, start: int, unnoticed: int = 0, ceiling: int = 2_000 * MILLISECOND
    ) -> None:
        """`unnoticed`: lateness that is none, because nobody sees it."""
        self._quantile = 1 - late_share
        self._margin = margin
        self._unnoticed = unnoticed
        self._ceiling = ceiling
        self._recent = np.zeros(_WINDOW, np.int64)
        self._count = 0
        self._last = (0, 0)
        """lateness and moment of the frame before."""
        self._changed: int | None = None
        self._needed = start
        """the delay with which so many frames come in time."""

    @property
    def delay(self) -> int:
        return max(0, self._needed - self._unnoticed)

    @property
    def patience(self) -> int:
        return self._needed - self.delay + max(10 * MILLISECOND, self._needed // 2)

    def observe(self, lateness: int, now: int) -> None:
        if self._follows(lateness, now):
            return
        self._recent[self._count % _WINDOW] = lateness
        self._count += 1
        wanted = self._wanted()
        elapsed = 0 if self._changed is None else max(0, now - self._changed)
        self._changed = now if self._changed is None else max(now, self._changed)
        fall = _FALL_PER_SECOND * elapsed // 1_000_000_000
        at_once = wanted > self._needed or self._needed - wanted > _LEAP or self._count <= _START
        self._needed = wanted if at_once else max(wanted, self._needed - fall)

    def _follows(self, lateness: int, now: int) -> bool:
        """Whether it stood in the same queue as the frame before: it came after at most half the time that lies
        between their captures, which is the time that passed and what the lateness fell by."""
        (lateness_before, before), self._last = self._last, (lateness, now)
        return self._count > 0 and now - before <= lateness_before - lateness

    def _wanted(self) -> int:
        filled = min(self._count, _WINDOW)
        spikes = int(self._quantile < 1 and filled > _START)  # one costs itself only, also in a short time
        rank = min(filled - 1 - spikes, int(self._quantile * filled))
        lateness = int(np.partition(self._recent[:filled], rank)[rank])
        return min(self._ceiling, max(0, lateness) + self._margin)

    def rebase(self, slower: int) -> None:
        self._recent -= slower
        self._last = self._last[0] - slower, self._last[1]
        self._needed = max(self._margin, self._needed - slower)


def policy(latency: Latency, media: str) -> TargetDelay:
    """What `--latency` means for a stream. A late picture is still shown, late sound is lost: audio waits longer."""
    if latency.fixed is not None:
        return FixedDelay(latency.fixed)
    ease = (1 - latency.caution) ** 2
    if media == "audio":
        return AdaptiveDelay(late_share=0.01 * ease, margin=2 * MILLISECOND, start=20 * MILLISECOND)
    return AdaptiveDelay(
        late_share=0.05 * ease, margin=MILLISECOND // 2, start=10 * MILLISECOND, unnoticed=_HALF_REFRESH
    )
