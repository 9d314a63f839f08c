"""The highest rate that a path carries, found by sending ever more and then halving the doubt; sans-IO.

A rate breaks where loss exceeds the bound, where packets queue up (the round trip grows), or where reports stop coming.
Loss here is what RTCP reports say (RFC 3550 §6.4.1); the receiver's own ledger stays the exact account.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from protocol.shares import wilson

SECOND = 1_000_000_000
START = 500_000
LOWEST = 62_500
HIGHEST = 2_000_000_000
"""bit/s of UDP payload."""
STEP = 1.05
"""ratio of the lowest rate that broke and the highest that held at which the search has found it."""
SHORT = 800_000_000
MEDIUM = 1_200_000_000
LONG = 3_000_000_000
"""ns that a rate is held: on the way up, between two known rates, and where doubt remains or it is confirmed."""
QUEUE = 20_000_000
"""ns by which the round trip may grow at least before it counts as a queue."""
SILENCE = 2_000_000_000
"""ns without a report after which nothing comes through."""
PATIENCE = 5_000_000_000
"""ns until the first report."""
STALLED = 0.05
"""of a rate's packets that this machine was too slow for: what the others met says little."""
STALLS = 3
"""times in a row that a rate is tried again after that."""
SEVERAL = 3
"""reports that must agree."""
FEWEST = 20
"""packets that a share of loss is taken of."""
CONFIRMATIONS = 4
LOWER = 0.92
"""of a rate that was not confirmed: the next one to be."""

Breaks = Literal["loss", "delay", "silence", "sender"]
Phase = Literal["rise", "narrow", "drain", "confirm", "over"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One report of the receiver."""

    time: int
    """monotonic ns at which it came."""
    highest: int
    """extended sequence number, as the sender counts."""
    lost: int
    """cumulative."""
    rtt: int | None
    """ns."""
    jitter: float
    """s."""


@dataclass(frozen=True, slots=True)
class Step:
    """One rate that was held, and what came of it."""

    rate: int
    """bit/s of UDP payload."""
    duration: int
    """ns between the first and the last report about it."""
    sent: int
    """packets that those reports are about."""
    lost: int
    rtt: int | None
    """ns, median."""
    queue: int | None
    """ns by which the round trip was longer than the shortest seen, at the end."""
    jitter: float
    """s, interarrival jitter as last reported."""
    breaks: Breaks | None
    """why the path does not carry this rate; None: it does."""


@dataclass(frozen=True, slots=True)
class Found:
    """The end of a search."""

    held: Step | None
    """the highest rate that the path carries, as confirmed; None: not even the lowest."""
    broke: Step | None
    """the lowest rate that it does not carry; None: none was tried."""
    steps: tuple[Step, ...]
    finished: bool
    """False: it was ended from outside."""


class Search:
    """`begin`, then `observe` each report and `advance` in each turn; send at `rate` until `over`."""

    def __init__(
        self, packet_size: int, loss_bound: float, maximum: int = HIGHEST, on_step: Callable[[Step], None] | None = None
    ) -> None:
        """`loss_bound`: share of packets; `maximum`: bit/s; `on_step` is told of each rate that was held."""
        self.rate = min(START, maximum)
        """bit/s of UDP payload to send now."""
        self.heard = False
        """a report has come."""
        self._packet_size, self._bound, self._maximum = packet_size, loss_bound, maximum
        self._on_step = on_step
        self._phase: Phase = "rise"
        self._steps: list[Step] = []
        self._held: Step | None = None
        self._holds: int | None = None
        """the highest rate that held, not confirmed yet."""
        self._broke: Step | None = None
        self._confirmed = self._stalls = 0
        self._base: int | None = None
        self._trips: list[int] = []
        """round trips at rates that held."""
        self._last_report = 0
        self._hold(self.rate, 0, 0, 0)

    @property
    def over(self) -> bool:
        return self._phase == "over"

    def result(self) -> Found:
        return Found(self._held, self._broke, tuple(self._steps), self.over)

    def begin(self, now: int, next_number: int) -> None:
        """The first packet, `next_number`, leaves now."""
        self._hold(self.rate, now, next_number, 0)
        self._last_report = now

    def observe(self, sample: Sample) -> None:
        """A report; those about numbers from before the present rate only tell the delay."""
        self.heard = True
        self._last_report = sample.time
        if sample.rtt is not None and (self._base is None or sample.rtt < self._base):
            self._base = sample.rtt
        if sample.highest >= self._first:
            self._samples.append(sample)

    def advance(self, now: int, next_number: int, skipped: int) -> None:
        """Judge what is known; `skipped`: packets so far that this machine was too slow to send."""
        if self._phase == "over" or (self._phase == "drain" and not self._drained(now)):
            return
        if self._phase == "drain":
            self._go_on(now, next_number, skipped)
            return
        if not self.heard:
            if now - self._began > PATIENCE:
                self._phase = "over"
            return
        done, breaks = self._verdict(now, next_number, skipped)
        if done:
            self._settle(self._step(breaks), now, next_number, skipped)

    # -- judging ----------------------------------------------------------------------------------------------

    def _hold(self, rate: int, now: int, next_number: int, skipped: int) -> None:
        self.rate = rate
        self._began, self._first, self._skipped = now, next_number, skipped
        self._samples: list[Sample] = []

    def _verdict(self, now: int, next_number: int, skipped: int) -> tuple[bool, Breaks | None]:
        """(whether it is known, why the rate breaks)."""
        asked = next_number - self._first + skipped - self._skipped
        if now - self._began >= SHORT and skipped - self._skipped > STALLED * asked:
            return True, "sender"
        if now - self._last_report > SILENCE:
            return True, "silence"
        if len(self._samples) < 2:
            return (True, "delay") if now - self._began > LONG + SILENCE else (False, None)
        if (self._queue() or 0) > self._most_queue():
            return True, "delay"
        sent, lost = self._counts()
        certain = max(0, lost - self._overtaken())
        spread = self._spread()
        if sent >= FEWEST and spread and wilson(certain, sent)[0] > self._bound:
            return True, "loss"
        duration, high = self._duration(), wilson(lost, sent)[1]
        doubtful = sent * self._bound < 1 or (certain > self._bound * sent and not spread)
        if duration >= (2 * LONG if doubtful else LONG):
            return True, "loss" if certain > self._bound * sent else None
        wanted = {"rise": SHORT, "narrow": MEDIUM}.get(self._phase, LONG)
        sure = high <= self._bound or (self._phase == "rise" and lost <= self._bound * sent)
        return duration >= wanted and sure, None

    def _counts(self) -> tuple[int, int]:
        first, last = self._samples[0], self._samples[-1]
        sent = last.highest - first.highest
        return sent, max(0, min(sent, last.lost - first.lost))

    def _spread(self) -> bool:
        """Losses in several reports: too high a rate loses all the time, other causes in a burst now and then."""
        return sum(later.lost > sooner.lost for sooner, later in pairwise(self._samples)) >= SEVERAL

    def _overtaken(self) -> int:
        """A report counts as lost what was only overtaken by then: by how much that may differ between two reports."""
        sent, duration = self._counts()[0], max(1, self._duration())
        between = 2 * self._samples[-1].jitter * sent * SECOND / duration
        return round(2 * math.sqrt(between)) if between >= 1 else 0

    def _duration(self) -> int:
        return self._samples[-1].time - self._samples[0].time

    def _queue(self) -> int | None:
        """What the last round trips have in common above the shortest ever."""
        trips = [sample.rtt for sample in self._samples[-SEVERAL:] if sample.rtt is not None]
        return None if len(trips) < SEVERAL or self._base is None else min(trips) - self._base

    def _most_queue(self) -> int:
        """Round trips may vary for other reasons: by twice what they do at rates that hold; a few packets are none."""
        few = SEVERAL * 8 * self._packet_size * SECOND // self.rate
        if not self._trips or self._base is None:
            return max(4 * QUEUE, few)
        return max(QUEUE, few, 2 * (sorted(self._trips)[len(self._trips) // 2] - self._base))

    def _step(self, breaks: Breaks | None) -> Step:
        if not self._samples:
            return Step(self.rate, 0, 0, 0, None, None, 0.0, breaks)
        trips = sorted(sample.rtt for sample in self._samples if sample.rtt is not None)
        middle = trips[len(trips) // 2] if trips else None
        sent, lost = self._counts()
        return Step(
            self.rate, self._duration(), sent, lost, middle, self._queue(), self._samples[-1].jitter, breaks
        )  # fmt: skip

    def _drained(self, now: int) -> bool:
        """What was too much has left the queues."""
        if now - self._began > SILENCE:
            return True
        recent = [sample.rtt for sample in self._samples[-1:] if sample.rtt is not None]
        return bool(recent) and self._base is not None and recent[0] - self._base < self._most_queue() / 2

    # -- choosing ---------------------------------------------------------------------------------------------

    def _settle(self, step: Step, now: int, next_number: int, skipped: int) -> None:
        self._steps.append(step)
        if self._on_step is not None:
            self._on_step(step)
        self._stalls = self._stalls + 1 if step.breaks == "sender" else 0
        if 0 < self._stalls <= STALLS:
            self._hold(step.rate, now, next_number, skipped)
            return
        confirming = self._phase == "confirm"
        self._confirmed += confirming
        if step.breaks is None:
            self._trips += [sample.rtt for sample in self._samples if sample.rtt is not None]
            if confirming:
                self._held, self._phase = step, "over"
            else:
                self._holds = step.rate
                self._go_on(now, next_number, skipped)
            return
        if self._broke is None or step.rate < self._broke.rate:
            self._broke = step
        if confirming:
            self._holds = round(LOWER * step.rate)
        # The queue empties at a fraction of what is known to pass.
        self._hold(max(LOWEST, round((self._holds or step.rate / 2) / 4)), now, next_number, skipped)
        self._phase = "drain"

    def _go_on(self, now: int, next_number: int, skipped: int) -> None:
        rate = self._next_rate()
        if rate is None:
            self._phase = "over"
        else:
            self._hold(rate, now, next_number, skipped)

    def _next_rate(self) -> int | None:
        """What to try now, and the phase it belongs to; None: nothing lower makes sense."""
        holds, broke = self._holds, None if self._broke is None else self._broke.rate
        if holds is None:
            assert broke is not None
            self._phase = "narrow"
            return None if broke // 2 < LOWEST or self._indifferent() else broke // 2
        if broke is None and holds < self._maximum:
            self._phase = "rise"
            return min(2 * holds, self._maximum)
        if broke is None or broke <= STEP * holds or self._confirmed:
            self._phase = "confirm"
            return holds if self._confirmed < CONFIRMATIONS and holds >= LOWEST else None
        self._phase = "narrow"
        return round(math.sqrt(holds * broke))

    def _indifferent(self) -> bool:
        """Half the rate lost more than a bottleneck would explain, which passes as much as before: rate is not why."""
        if len(self._steps) < 2 or any(step.breaks != "loss" for step in self._steps[-2:]):
            return False
        before, after = self._steps[-2:]
        explained = 2 * wilson(before.lost, before.sent)[1] - 1
        return wilson(after.lost, after.sent)[0] > max(self._bound, explained)
