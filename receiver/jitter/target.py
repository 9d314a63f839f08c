"""How long to wait: the target delay of the jitter buffer, a policy that can be replaced.

Lateness is a frame's last arrival minus the moment a packet of least transit would have arrived: the delay
that this frame needed, the time of its repair included. All times are ns.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from receiver.config import Latency
from receiver.jitter.experts import MILLISECOND, Cost, Experts
from receiver.jitter.standstill import Standstill

STRETCH = 0.25
"""by which playing may be slowed down or sped up to move the playout: 5 ms in a packet of 20."""
_OVERDUE = 10 * MILLISECOND
_HEADROOM = 1.3
"""for sound: how much longer than it was seen to be an outage is counted, since those to come may be longer. What was
reordered or repaired is counted as it was: the next will take as long."""
_HALF_REFRESH = 8 * MILLISECOND
"""of a screen with 60 pictures a second, which a picture may miss its moment by without being seen to."""
_SECOND = 1_000 * MILLISECOND
_AGAIN = 10 * _SECOND
"""ns after an outage in which another is no accident."""
_CEILING = 2 * _SECOND
_RECENT = 540
"""frames of sound of which the best delay is looked for: about 11 s."""
_KNOWN = 100
"""frames as which fewer count, so that one late frame among the first is no rule."""
_BEGINNING = 50
"""frames of sound, a second, of which the first are forgotten when the next have come: programs that begin are busy."""
_ANOTHER, _DOUBT = 10, 8
"""frames in a row, none in a queue behind the one before, later than what was best; and how many it takes until
those count for enough."""
_LOOK = 10
"""frames between two looks for what would have been best."""
_WINDOW = 512
"""pictures: 17 s at 30 a second."""
_FEW = 16
"""pictures after which one may be an exception."""


class TargetDelay(Protocol):
    """The delay between a packet of least transit and its playout, and how much longer a hole may hold it up."""

    def awaited(self, lateness: int, now: int) -> None:
        """Sound came at `now`, newer than all that came before. Call it before it is judged whether it is late."""

    def observe(self, lateness: int, now: int) -> None:
        """One frame, complete at `now`, needed this much delay. Call it in the order of capture, late frames apart."""

    def rebase(self, slower: int) -> None:
        """The least transit, from which lateness counts, is now put so much higher (or lower, if negative)."""

    def wait_for_repair(self, delay: int) -> None:
        """Until so long after its least transit, what is lost will come by another way; 0: nobody knows."""

    def retransmitted(self, lateness: int, now: int) -> None:
        """A packet that was lost came again at `now`, in time, so long after its least transit."""

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

    def awaited(self, lateness: int, now: int) -> None:
        """Nothing is stretched."""

    def observe(self, lateness: int, now: int) -> None:
        """A fixed delay learns nothing."""

    def rebase(self, slower: int) -> None:
        """It stands above the least transit, whatever that is."""

    def wait_for_repair(self, delay: int) -> None:
        """It waits for nothing longer."""

    def retransmitted(self, lateness: int, now: int) -> None:
        """That is no matter."""


class Lately:
    """The delay that would have been cheapest for the last frames, had they been known: what is best for a path that
    stays as it is, and no path needs more than it showed."""

    def __init__(self, late: float) -> None:
        """`late`: ns of waiting that a late frame is worth."""
        self._late = late
        self._recent = np.zeros(_RECENT, np.int64)
        self._count = 0
        self._begins = True
        self._waits = 0
        """frames until it is looked for again."""
        self._late_in_a_row = 0
        self._unsure = 0
        """frames for which what was best before says nothing: the path may be another."""
        self.best = 0

    def observe(self, lateness: int) -> None:
        self._late_in_a_row = self._late_in_a_row + 1 if lateness > self.best else 0
        if self._late_in_a_row >= _ANOTHER:
            self._unsure = _DOUBT
        self._unsure -= self._unsure > 0
        self._recent[self._count % _RECENT] = lateness
        self._count += 1
        if self._begins and self._count == 2 * _BEGINNING:
            self._recent[:_BEGINNING] = self._recent[_BEGINNING : self._count]
            self._count, self._begins = _BEGINNING, False
        self._waits -= 1
        if self._waits <= 0 or lateness > self.best:
            self._look()

    def bound(self, delay: int) -> int:
        """`delay`, or what would have been best where that is less."""
        return delay if self._unsure else min(delay, self.best)

    def _look(self) -> None:
        self._waits = _LOOK
        filled = np.sort(self._recent[: self._count])
        later = np.arange(len(filled) - 1, -1, -1)
        self.best = int(filled[np.argmin(filled + self._late / max(len(filled), _KNOWN) * later)])

    def shift(self, slower: int) -> None:
        self._recent -= slower
        self.best = max(0, self.best - slower)


class Tail:
    """The lateness that all but a small share of the last pictures stayed below, and all but one of a few."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._recent = np.zeros(_WINDOW, np.int64)
        self._count = 0
        self.lateness = 0

    def observe(self, lateness: int) -> None:
        self._recent[self._count % _WINDOW] = lateness
        self._count += 1
        filled = min(self._count, _WINDOW)
        exceptions = max(int(self._share * filled), int(self._share > 0 and filled > _FEW))
        rank = filled - 1 - exceptions
        self.lateness = int(np.partition(self._recent[:filled], rank)[rank])

    def shift(self, slower: int) -> None:
        self._recent -= slower
        self.lateness -= slower


class AdaptiveDelay:
    """The delay that was cheapest of late (see `experts`), approached no quicker than playing can be stretched.

    - A path that stands still for a moment makes a row of frames late that then come quicker than they were captured.
      That is one event and counts as one frame, unless there was another just before: a single spike costs itself and
      leaves next to no delay behind, spikes that come again and again are waited for.
    - While sound is overdue, what is left of it is played slower, and a gap goes on a little longer: part of what has
      been waited for by the time it comes (adaptive media playout: Steinbach, Färber, Girod, ICIP 2001).
    - Sound that is late while nothing drains took a longer way, and so will what follows. Then the delay rises at
      once: the gap is there anyway.
    """

    def __init__(
        self,
        cost: Cost,
        *,
        margin: int,
        start: int,
        headroom: float = 1.0,
        unnoticed: int = 0,
        tail: Tail | None = None,
        lately: Lately | None = None,
        standstill: Standstill | None = None,
        patience: float = 1.0,
    ) -> None:
        """`unnoticed`: lateness that is none, because nobody sees it. `tail`: so long a hole is worth waiting for.
        `lately`: more than that is never needed; the experts alone tell delays that lie close together slowly, and err
        upwards. `standstill`: that much is needed while repair takes long. `patience`: the share of what repair takes
        that is waited for in any case."""
        self._experts = Experts(cost)
        self._margin, self._headroom, self._unnoticed, self._tail = margin, headroom, unnoticed, tail
        self._lately = lately
        self._last: tuple[int, int] | None = None
        """lateness and moment of the frame before."""
        self._heard: int | None = None
        """when the newest sound came."""
        self._outage: int | None = None
        """when the last row of late frames began."""
        self._again = False
        """it was not the first within a short time."""
        self._changed: int | None = None
        self._needed = start
        """the delay with which enough frames come in time."""
        self._standstill = standstill
        self._patience = patience
        self._least = self._still = 0

    @property
    def delay(self) -> int:
        return self._needed

    @property
    def patience(self) -> int:
        needed = self._needed if self._tail is None else max(self._needed, self._tail.lateness + self._margin)
        return needed - self._needed + max(10 * MILLISECOND, needed // 2)

    def awaited(self, lateness: int, now: int) -> None:
        silence = 0 if self._heard is None else max(0, now - self._heard)
        self._heard = now
        overdue = min(silence, _SECOND, lateness - max(_OVERDUE, self._needed // 4))
        if overdue > 0 and self._needed < lateness:
            self._needed = min(_CEILING, self._needed + round(overdue * STRETCH / (1 + STRETCH)))
            self._changed = now
        if lateness > self._needed and not self._follows(lateness, now):
            self._needed = max(self._needed, min(lateness, self._wanted()))

    def observe(self, lateness: int, now: int) -> None:
        if not self._follows(lateness, now):
            self._begin(lateness, now)
            if self._tail is not None:
                self._tail.observe(lateness)
            self._learn(lateness, now)
        elif self._again:
            self._learn(lateness, now)
        self._last = lateness, now
        elapsed = 0 if self._changed is None else max(0, now - self._changed)
        self._changed = now if self._changed is None else max(now, self._changed)
        step = round(STRETCH * elapsed)
        if self._standstill is not None:
            self._still = self._standstill.delay(now)
        self._needed = min(max(self._wanted(), self._needed - step), self._needed + step)

    def _begin(self, lateness: int, now: int) -> None:
        """A frame that came in no queue, whether late or not."""
        if lateness > self._needed:
            self._again = self._outage is not None and now - self._outage < _AGAIN
            self._outage = now

    def _learn(self, lateness: int, now: int) -> None:
        counted = round(lateness * self._headroom) if now == self._heard else lateness
        self._experts.observe(max(0, counted - self._unnoticed))
        if self._lately is not None:
            self._lately.observe(lateness)

    def _follows(self, lateness: int, now: int) -> bool:
        """Whether it stood in the same queue as the frame before: it came after at most half the time that lies
        between their captures, which is the time that passed and what the lateness fell by."""
        if self._last is None:
            return False
        lateness_before, before = self._last
        return now - before <= lateness_before - lateness

    def _wanted(self) -> int:
        best = round(self._experts.best)
        if self._lately is not None:
            best = self._lately.bound(best)
        return min(_CEILING, max(best + self._margin, round(self._patience * max(self._least, self._still))))

    def wait_for_repair(self, delay: int) -> None:
        self._least = delay

    def retransmitted(self, lateness: int, now: int) -> None:
        if self._standstill is not None:
            self._standstill.retransmitted(lateness, now)

    def rebase(self, slower: int) -> None:
        self._experts.shift(round(slower * self._headroom))
        if self._tail is not None:
            self._tail.shift(slower)
        if self._lately is not None:
            self._lately.shift(slower)
        if self._last is not None:
            self._last = self._last[0] - slower, self._last[1]
        self._needed = max(self._margin, self._needed - slower)


def policy(latency: Latency, media: str) -> TargetDelay:
    """What `--latency` means for a stream. Late sound is lost: a percent of it is worth 10 ms of delay (quick, 0), 49
    (0.3) or 2000 (safe, 1). A late picture is still shown: a ms of that is worth 1, 2.5 or 20 ms of waiting, so that
    none, 60 % or 95 % of them come in time."""
    if latency.fixed is not None:
        return FixedDelay(latency.fixed)
    patience = min(1.0, latency.caution / Latency().caution)
    if media == "audio":
        late = _SECOND * 200**latency.caution
        cost = Cost(late=late, decisive=late / 3)
        return AdaptiveDelay(
            cost, headroom=_HEADROOM, margin=2 * MILLISECOND, start=20 * MILLISECOND, lately=Lately(late),
            patience=patience,
        )  # fmt: skip
    return AdaptiveDelay(
        Cost(lateness=20**latency.caution),
        margin=0,
        start=10 * MILLISECOND,
        unnoticed=_HALF_REFRESH,
        tail=Tail(0.05 * (1 - latency.caution) ** 2),
        standstill=Standstill(),
        patience=patience,
    )
