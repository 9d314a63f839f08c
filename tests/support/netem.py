"""A seeded network without sockets: what happens to each datagram on its way in one direction, and the truth about it.

A path does, in this order: scripted fates, blackouts, random loss, bursts of loss, corruption, the bottleneck with its
queue, delay and jitter, duplication. Packet n draws the same random numbers whatever its moment and whatever became of
the packets before it, so a fate depends on the seed and on n alone (bottleneck and blackouts excepted).
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

IP_UDP_OVERHEAD = 28
"""Bytes of IPv4 and UDP header that a bottleneck carries with every datagram."""
_MILLISECOND = 1_000_000
_OPPORTUNITY = 1500


@dataclass(frozen=True, slots=True)
class GilbertElliott:
    """Loss in bursts: two states, a step before each packet. Letters as in `man tc-netem`, `loss gemodel`."""

    p: float
    """good to bad."""
    r: float
    """bad to good; the mean burst is 1/r packets."""
    bad_loss: float = 1.0
    """1-h."""
    good_loss: float = 0.0
    """1-k."""

    @classmethod
    def of(cls, loss: float, burst: float) -> GilbertElliott:
        """A mean loss (0 to 1) in bursts of `burst` packets on average; nothing is lost between them."""
        r = 1.0 / burst
        return cls(p=r * loss / (1.0 - loss), r=r)

    @property
    def mean_loss(self) -> float:
        """The long-run share of lost packets."""
        bad = self.p / (self.p + self.r) if self.p + self.r else 0.0
        return bad * self.bad_loss + (1 - bad) * self.good_loss


@dataclass(frozen=True, slots=True)
class Conditions:
    """What one direction of a path does to datagrams. Times are ns; moments count from `Link.begin`
    or the first datagram."""

    delay: int = 0
    jitter: int = 0
    """standard deviation of a normal distribution cut at three of them; delay and jitter together are never below 0."""
    reordering: bool = True
    """False: jitter never lets a datagram overtake another."""
    loss: float = 0.0
    bursts: GilbertElliott | None = None
    duplication: float = 0.0
    """share that arrives twice, the copy with jitter of its own."""
    corruption: float = 0.0
    """share of which one bit is flipped."""
    rate: float | None = None
    """bit/s of a bottleneck, headers counted."""
    trace: tuple[int, ...] | None = None
    """mahimahi: the ms of each opportunity to deliver 1500 bytes, repeated from the start after the last."""
    queue_time: int | None = None
    """the bottleneck drops what would wait longer than this."""
    queue_bytes: int | None = None
    """the bottleneck drops what finds no room among this many bytes."""
    blackouts: tuple[tuple[int, int], ...] = ()
    """(from, to): nothing sent in between arrives."""
    delay_steps: tuple[tuple[int, int], ...] = ()
    """(moment, extra delay from then on), in order: a change of route."""
    drop: frozenset[int] = frozenset()
    """indexes of datagrams that are lost."""
    repeat: frozenset[int] = frozenset()
    """indexes of datagrams that arrive twice."""
    hold: Mapping[int, int] = field(default_factory=dict)
    """extra delay of single datagrams by index; the others do not wait for them."""
    only: Callable[[bytes], bool] | None = None
    """the datagrams all this is meant for (`index` counts these alone); others just take `delay`."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one datagram."""

    index: int
    """in the order of sending; -1: exempt by `Conditions.only`."""
    send_time: int
    size: int
    """bytes of UDP payload."""
    head: bytes
    """its first 12 bytes as they were sent: the RTP header."""
    what: str
    """delivered, corrupted, exempt, dropped (scripted), blackout, lost, burst or queue."""
    arrivals: tuple[int, ...]
    """one for each copy, in ns; () when it never arrives."""
    path: Any = None
    """as given to `Link.send`."""


class Draws:
    """Random numbers by use: each use has a stream of its own and takes one number a datagram."""

    BLOCK = 1024

    def __init__(self, seed: int, *, normal: bool = False) -> None:
        self._generator = np.random.Generator(np.random.Philox(seed))
        self._normal = normal
        self._block: NDArray[np.float64] = np.empty(0)
        self._at = 0

    def next(self) -> float:
        """The next number: uniform in [0, 1), or standard normal."""
        if self._at == len(self._block):
            draw = self._generator.standard_normal if self._normal else self._generator.random
            self._block, self._at = draw(self.BLOCK), 0
        self._at += 1
        return float(self._block[self._at - 1])


class Bottleneck:
    """A link of limited rate, or one that follows a trace, with a bounded drop-tail queue before it."""

    def __init__(self, conditions: Conditions) -> None:
        self._conditions = conditions
        self._free = 0
        self._opportunity, self._left = 0, 0
        self._waiting: deque[tuple[int, int]] = deque()
        self._bytes = 0

    def depart(self, now: int, size: int) -> int | None:
        """When a datagram that comes at `now` (ns since the link began) has left; None: the queue had no room."""
        conditions = self._conditions
        if conditions.rate is None and conditions.trace is None:
            return now
        while self._waiting and self._waiting[0][0] <= now:
            self._bytes -= self._waiting.popleft()[1]
        if conditions.queue_bytes is not None and self._bytes + size > conditions.queue_bytes:
            return None
        before = self._free, self._opportunity, self._left
        moment = self._serialise(now, size) if conditions.trace is None else self._take(now, size, conditions.trace)
        if conditions.queue_time is not None and moment - now > conditions.queue_time:
            self._free, self._opportunity, self._left = before
            return None
        self._waiting.append((moment, size))
        self._bytes += size
        return moment

    def _serialise(self, now: int, size: int) -> int:
        assert self._conditions.rate is not None
        self._free = max(self._free, now) + round((size + IP_UDP_OVERHEAD) * 8e9 / self._conditions.rate)
        return self._free

    def _take(self, now: int, size: int, trace: Sequence[int]) -> int:
        if self._moment(trace, self._opportunity) < now:
            self._opportunity, self._left = self._first_from(trace, now), 0
        size += IP_UDP_OVERHEAD
        if not self._left:
            self._left = _OPPORTUNITY
        while size > self._left:
            size -= self._left
            self._opportunity, self._left = self._opportunity + 1, _OPPORTUNITY
        self._left -= size
        moment = self._moment(trace, self._opportunity)
        if not self._left:
            self._opportunity += 1
        return moment

    @staticmethod
    def _moment(trace: Sequence[int], opportunity: int) -> int:
        rounds, at = divmod(opportunity, len(trace))
        return (rounds * trace[-1] + trace[at]) * _MILLISECOND

    def _first_from(self, trace: Sequence[int], now: int) -> int:
        """The first opportunity that is not before `now`."""
        at = max(self._opportunity, now // (trace[-1] * _MILLISECOND) * len(trace))
        while self._moment(trace, at) < now:
            at += 1
        return at


class Link:
    """One direction of a path. What is sent into it comes out of `due` at its moment."""

    def __init__(self, conditions: Conditions = Conditions(), seed: int = 0, *, log: bool = True) -> None:
        self.conditions = conditions
        self.log: list[Fate] = []
        """the truth, one entry a datagram in the order of sending; empty with log=False."""
        self.counts: Counter[str] = Counter()
        """datagrams by fate, and `copies` that were added."""
        self._keep_log = log
        self._draws = {
            use: Draws(seed * 16 + i, normal=use.startswith("jitter"))
            for i, use in enumerate(("loss", "step", "burst", "corrupt", "corrupt_at", "copy", "jitter", "jitter_copy"))
        }
        self._bottleneck = Bottleneck(conditions)
        self._bad = False
        self._index = 0
        self._origin: int | None = None
        self._last_arrival = 0
        self._under_way: list[tuple[int, int, bytes, Any]] = []
        self._order = count()

    @property
    def origin(self) -> int | None:
        """From when on moments count; None before the first datagram."""
        return self._origin

    def change(self, conditions: Conditions) -> None:
        """Other conditions from now on; what is under way is not touched, and the bottleneck's queue is empty."""
        self.conditions = conditions
        self._bottleneck = Bottleneck(conditions)

    def begin(self, now: int) -> None:
        """Moments count from `now`, unless they already count from something earlier."""
        if self._origin is None:
            self._origin = now

    def send(self, datagram: bytes, now: int, path: Any = None) -> Fate:
        """Hands one datagram to the network at `now`; the answer tells what will become of it. `path` comes out again
        with it: several port pairs may share one link."""
        self.begin(now)
        fate, data = self._decide(datagram, now, path)
        if self._keep_log:
            self.log.append(fate)
        self.counts[fate.what] += 1
        self.counts["copies"] += max(0, len(fate.arrivals) - 1)
        for arrival in fate.arrivals:
            heapq.heappush(self._under_way, (arrival, next(self._order), data, path))
        return fate

    def due(self, now: int) -> list[tuple[int, bytes]]:
        """What has arrived by `now`: (arrival time, datagram) in the order of arrival."""
        return [(moment, data) for moment, data, _ in self.arrivals(now)]

    def arrivals(self, now: int) -> list[tuple[int, bytes, Any]]:
        """`due`, with the path of each."""
        arrived = []
        while self._under_way and self._under_way[0][0] <= now:
            moment, _, data, path = heapq.heappop(self._under_way)
            arrived.append((moment, data, path))
        return arrived

    def next_time(self) -> int | None:
        """When the next datagram arrives; None: nothing is under way."""
        return self._under_way[0][0] if self._under_way else None

    def _decide(self, datagram: bytes, now: int, path: Any) -> tuple[Fate, bytes]:
        """The fate, and the bytes as they will arrive."""
        c = self.conditions
        size, head = len(datagram), datagram[:12]
        assert self._origin is not None
        if c.only is not None and not c.only(datagram):
            return Fate(-1, now, size, head, "exempt", (now + c.delay,), path), datagram
        index, self._index = self._index, self._index + 1
        drawn = {use: stream.next() for use, stream in self._draws.items()}
        what = self._loss(index, now - self._origin, drawn)
        departure = None if what is not None else self._bottleneck.depart(now - self._origin, size)
        if departure is None:
            return Fate(index, now, size, head, what or "queue", (), path), datagram
        arrivals = [self._arrival(index, departure + self._origin, drawn["jitter"])]
        if index in c.repeat or drawn["copy"] < c.duplication:
            arrivals.append(self._arrival(index, departure + self._origin, drawn["jitter_copy"]))
        if drawn["corrupt"] < c.corruption:
            damaged = flip(datagram, int(drawn["corrupt_at"] * size * 8))
            return Fate(index, now, size, head, "corrupted", tuple(arrivals), path), damaged
        return Fate(index, now, size, head, "delivered", tuple(arrivals), path), datagram

    def _loss(self, index: int, moment: int, drawn: Mapping[str, float]) -> str | None:
        c = self.conditions
        burst = False
        if c.bursts is not None:
            self._bad = drawn["step"] >= c.bursts.r if self._bad else drawn["step"] < c.bursts.p
            burst = drawn["burst"] < (c.bursts.bad_loss if self._bad else c.bursts.good_loss)
        if index in c.drop:
            return "dropped"
        if any(start <= moment < end for start, end in c.blackouts):
            return "blackout"
        if drawn["loss"] < c.loss:
            return "lost"
        return "burst" if burst else None

    def _arrival(self, index: int, departure: int, normal: float) -> int:
        c = self.conditions
        assert self._origin is not None
        steps = [extra for moment, extra in c.delay_steps if moment <= departure - self._origin]
        wait = c.delay + (steps[-1] if steps else 0) + round(c.jitter * min(3.0, max(-3.0, normal)))
        arrival = departure + max(0, wait)
        if not c.reordering:
            arrival = self._last_arrival = max(arrival, self._last_arrival)
        return arrival + c.hold.get(index, 0)


def flip(datagram: bytes, bit: int) -> bytes:
    """The datagram with one bit changed, bit 0 being the highest of the first byte."""
    changed = bytearray(datagram)
    if changed:
        changed[bit // 8] ^= 0x80 >> bit % 8
    return bytes(changed)


def rtp_only(datagram: bytes) -> bool:
    """For `Conditions.only`: RTP, not RTCP (RFC 5761 §4)."""
    return len(datagram) >= 12 and not 192 <= datagram[1] <= 223
