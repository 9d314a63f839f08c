"""Which repair a stream asks for: the plan, made anew from what the last seconds were like."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import NamedTuple

from protocol.shares import wilson
from receiver.repair.losses import Losses
from receiver.repair.planner import Plan, Situation, plan
from receiver.repair.sound_planner import UNKNOWN, awaited, plan_sound
from receiver.repair.terms import Terms

_WINDOW = 10_000_000_000
"""ns of loss that a plan is made of: short enough to follow a path, long enough to know a few percent."""
_EXPECTED = 2, 100
"""packets lost, of so many: what a path is taken for before it shows more, so that one early loss is no alarm,"""
_SINGLE = 10
"""and losses that came singly."""
_FEWEST = 10
"""frames before which their spacing is not known."""
_USUAL = 33_000_000
_ENOUGH, _BEGINS = 5_000_000_000, 3_000_000_000
_NOTICEABLE = 0.05
"""of the media: a share that differs by less is no new plan."""


class Seen(NamedTuple):
    """One stream at one moment, as counted."""

    now: int
    """monotonic ns."""
    expected: int
    """packets that have had time to come."""
    missing: int
    """of them have not, by whatever way they may be repaired."""
    frames: int
    """that were handed out."""
    elapsed: int
    """ns since the stream began."""
    run: float
    """mean length of loss runs."""
    round_trip: int | None
    answer: int | None = None
    """ns after a lost packet should have come, until it comes again."""


def summary(
    losses: Losses, now: int, frames: int, elapsed: int, wait: int, round_trip: int | None, answer: int | None
) -> Seen:
    """Without outages: runs of losses longer than what arrives within `wait` ns are no reason for a plan."""
    longest, runs = max(1, losses.expected * wait // max(1, elapsed)), losses.runs
    lengths = {length: count for length, count in runs.items() if length <= longest}
    lost = sum(length * count for length, count in lengths.items())
    outages = sum(length * count for length, count in runs.items()) - lost
    run = (lost + _SINGLE) / (sum(lengths.values()) + _SINGLE)
    return Seen(now, losses.expected - outages, lost, frames, elapsed, run, round_trip, answer)


class Planning:
    """Of one stream, within `terms`."""

    def __init__(self, terms: Terms, *, sound: bool) -> None:
        self._terms, self._sound = terms, sound
        self._history: deque[tuple[int, int, int]] = deque()
        """(moment, packets expected, missing)."""
        self._interval = _USUAL
        self._answer: int | None = None
        self._less_since: int | None = None
        self.plan = self._as_decided(UNKNOWN if sound and terms.red else Plan(nack=True, why="nothing is lost"))

    def look(self, seen: Seen, *, congested: bool = False) -> bool:
        """Whether there is a new plan."""
        self._history.append((seen.now, seen.expected, seen.missing))
        while seen.now - self._history[0][0] > _WINDOW:
            self._history.popleft()
        if seen.frames >= _FEWEST:
            self._interval = seen.elapsed // seen.frames
        self._answer = seen.answer
        now = self._situation(seen, congested)
        made = self._as_decided(plan_sound(now, self.plan) if self._sound and self._terms.red else plan(now))
        before = self.plan
        if _same(before, made) or (not congested and self._too_soon(before, made, seen.now)):
            self.plan = replace(before, why=made.why if _same(before, made) else before.why)
            return False
        self.plan, self._less_since = made, None
        return True

    def _too_soon(self, before: Plan, made: Plan, now: int) -> bool:
        """What asks for no more than before has to be enough for a while: near the border between two, plans would
        flap. A path that is full does not wait."""
        more = made.red_depth > before.red_depth or made.fec_share > before.fec_share
        if more or (made.nack and not before.nack):
            self._less_since = None
            return False
        self._less_since = now if self._less_since is None else self._less_since
        return now - self._less_since < _ENOUGH

    @property
    def hold(self) -> int:
        """ns after its least transit for which a frame may still be repaired by what was sent ahead."""
        return min(self._terms.wait, (self.plan.fec_frames + 1) * self._interval)

    @property
    def least(self) -> int:
        """ns after its least transit before which sound should not be played: what repeats it is still to come."""
        made = self.plan
        return awaited(made.red_depth, made.nack, self._interval, self._answer) if made.red_depth else 0

    def _situation(self, seen: Seen, congested: bool) -> Situation:
        _, expected, missing = self._history[0]
        lost = max(0, seen.missing - missing)
        packets = max(lost, seen.expected - expected)
        known, before = _EXPECTED
        return Situation(
            round_trip=seen.round_trip,
            wait=self._terms.wait,
            loss=(lost + known) / (packets + before) if lost else 0.0,
            most=_upper(lost, packets) if lost else 0.0,
            answer=seen.answer,
            run=max(1.0, seen.run),
            packets_per_frame=seen.expected / seen.frames if seen.frames else 1.0,
            frame_interval=self._interval,
            congested=congested,
            begins=seen.elapsed < _BEGINS,
            fec=self._terms.fec,
        )

    def _as_decided(self, made: Plan) -> Plan:
        share = self._terms.share
        return made if share is None else Plan(made.nack, share, made.fec_frames, why=made.why)


def _upper(lost: int, packets: int) -> float:
    """Bound of the share that is lost."""
    return wilson(lost + _EXPECTED[0], packets + _EXPECTED[1])[1]


def _same(one: Plan, other: Plan) -> bool:
    """But for the words, and what nobody would notice."""
    alike = replace(one, fec_share=0, why="") == replace(other, fec_share=0, why="")
    none = one.fec_share == 0 or other.fec_share == 0
    near = one.fec_share == other.fec_share if none else abs(one.fec_share - other.fec_share) < _NOTICEABLE
    return one.why == other.why or (alike and near)
