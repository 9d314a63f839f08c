"""Two sessions meet in a network, in virtual time: no socket, no thread, no sleep.

The sender lives by a clock of its own, with another zero and, if wanted, another speed, as on another machine.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from random import Random

import numpy as np

from protocol.datagram import Batch, Transmission
from protocol.payload.registry import (
    DEFAULT_PAYLOAD_TYPES,
    DEFAULT_RTX_PAYLOAD_TYPES,
    FEC_PAYLOAD_TYPE,
    RED_PAYLOAD_TYPE,
)
from receiver.config import Latency
from receiver.media import AccessUnit, Format
from receiver.session import ReceiverSession, SessionConfig
from sender.media import AccessUnit as SentUnit
from sender.session import Repair, SenderSession
from sender.transmit.stream import StreamConfig
from tests.support.clock import MILLISECOND, SECOND, VirtualClock
from tests.support.netem import Conditions, Link
from tests.support.traffic import Item

_STUCK = 10_000
Arrived = tuple[int, bytes, Hashable]
"""arrival time, datagram, path."""


@dataclass(frozen=True, slots=True)
class SenderClock:
    """The sender's monotonic clock as a function of the receiver's."""

    origin: int
    """the receiver's time at which the sender's shows `base`."""
    base: int = 77_777 * SECOND
    skew: float = 0.0
    """ppm it runs faster."""

    def local(self, now: int) -> int:
        """The sender's time at the receiver's `now`."""
        elapsed = now - self.origin
        return self.base + elapsed + round(elapsed * self.skew * 1e-6)

    def common(self, local: int) -> int:
        """The first receiver's time at which the sender's clock shows at least `local`."""
        moment = self.origin + round((local - self.base) / (1 + self.skew * 1e-6))
        while self.local(moment) < local:
            moment += 1
        return moment


@dataclass
class Pair:
    """A sender and a receiver with a link in each direction. `run` may be called again and again, and what stands here
    may be exchanged in between: another sender on the same links is a restart, other conditions a bad moment."""

    clock: VirtualClock
    sender: SenderSession | None
    receiver: ReceiverSession | None
    """None: nobody listens yet."""
    forward: Link
    back: Link
    sender_clock: SenderClock
    wakes_every: int = 0
    """ns: the receiver's loop turns at most so often, and reads batches then, as on a busy machine."""
    units: list[tuple[int, AccessUnit]] = field(default_factory=list)
    """what came out of the receiver, and when."""
    sender_events: list[tuple[int, object]] = field(default_factory=list)
    receiver_events: list[tuple[int, object]] = field(default_factory=list)
    unheard: int = 0
    """datagrams that arrived while nobody listened."""
    _read_at: int = 0

    def run(self, traffic: Iterable[Item] = (), duration: int = 0) -> None:
        """Runs for `duration` ns, and at least until all traffic has been captured."""
        start = self.sender_clock.local(self.clock.now)
        end = self.clock.now + duration
        source = iter(traffic)
        item = next(source, None)
        self._drain()
        idle = 0
        while True:
            captured = None if item is None else self.sender_clock.common(start + item.at)
            moment = self._next(captured)
            if moment is None or (item is None and moment > end):
                self.clock.advance_to(end)
                return
            idle = idle + 1 if moment <= self.clock.now else 0
            if idle > _STUCK:
                raise AssertionError("time stands still: a session asks again and again for a timeout that is past")
            now = self.clock.advance_to(moment)
            while item is not None and self.sender_clock.common(start + item.at) <= now:
                self._capture(item, start)
                item = next(source, None)
            self._deliver(now)
            self._expire(now)
            self._drain()

    def finish(self, timeout: int = 5 * SECOND) -> None:
        """The sender ends as a program does: final range, goodbye; runs until it has closed."""
        assert self.sender is not None
        self.sender.close(self.sender_clock.local(self.clock.now))
        end = self.clock.now + timeout
        while not self.sender.closed and self.clock.now < end:
            self.run(duration=SECOND // 20)
        self.run(duration=SECOND)

    def _next(self, captured: int | None) -> int | None:
        moments = [captured, self.back.next_time()]
        if self.sender is not None and (timeout := self.sender.next_timeout()) is not None:
            moments.append(self.sender_clock.common(timeout))
        wakes = [self.forward.next_time(), None if self.receiver is None else self.receiver.next_timeout()]
        moments += [max(wake, self._read_at) for wake in wakes if wake is not None]
        return min((m for m in moments if m is not None), default=None)

    def _capture(self, item: Item, start: int) -> None:
        assert self.sender is not None
        unit = SentUnit(item.data, item.timestamp, start + item.at - item.age, item.key_frame)
        self.sender.send(item.stream, unit, self.sender_clock.local(self.clock.now))

    def _deliver(self, now: int) -> None:
        if now >= self._read_at:
            self._wake(now)
        if (returned := self.back.arrivals(now)) and self.sender is not None:
            local = self.sender_clock.local(now)
            for batch in _batches([(self.sender_clock.local(at), data, path) for at, data, path in returned]):
                self.sender.handle_datagrams(batch, local)

    def _wake(self, now: int) -> None:
        """The receiver's turn: it reads what has come before it looks at what is due, as its program does."""
        arrived = self.forward.arrivals(now)
        if self.receiver is None:
            self.unheard += len(arrived)
            return
        for batch in _batches(arrived):
            self.receiver.handle_datagrams(batch, now)
        due = self.receiver.next_timeout() <= now
        if due:
            self.receiver.handle_timeout(now)
        if arrived or due:
            self._read_at = now + self.wakes_every

    def _expire(self, now: int) -> None:
        if self.sender is not None:
            local = self.sender_clock.local(now)
            timeout = self.sender.next_timeout()
            if timeout is not None and timeout <= local:
                self.sender.handle_timeout(local)

    def _drain(self) -> None:
        now = self.clock.now
        if self.sender is not None:
            sent = self.sender.poll(self.sender_clock.local(now))
            _transmit(sent.transmissions, self.forward, now)
            self.sender_events += [(now, event) for event in sent.events]
        if self.receiver is not None:
            out = self.receiver.poll()
            _transmit(out.transmissions, self.back, now)
            self.receiver_events += [(now, event) for event in out.events]
            self.units += [(now, unit) for unit in out.units]


CLEAN, ADAPTIVE = Conditions(), Latency()
VIDEO = StreamConfig("video", "H264", 96, 90_000, 0x11111111, SECOND // 30, 2_000_000)
AUDIO = StreamConfig("audio", "opus", 97, 48_000, 0x22222222, 20 * MILLISECOND, 64_000, channels=2)
REPAIRED = (
    replace(VIDEO, rtx_payload_type=112, rtx_ssrc=0x33333333, fec_ssrc=0x55555555),
    replace(AUDIO, rtx_payload_type=113, rtx_ssrc=0x44444444, fec_ssrc=0x66666666),
)
"""the same with every repair."""


def meet(
    conditions: Conditions = CLEAN,
    back: Conditions | None = None,
    *,
    seed: int = 1,
    streams: Sequence[StreamConfig] = (VIDEO, AUDIO),
    latency: Latency = ADAPTIVE,
    skew: float = 0.0,
    log: bool = True,
    repair: Repair = "none",
) -> Pair:
    """A new sender and a new receiver in this network (`back`: None for the same conditions), both listening. Unless
    `repair` is none, the receiver takes retransmissions."""
    clock = VirtualClock()
    sender_clock = SenderClock(clock.now, skew=skew)
    return Pair(
        clock,
        make_sender(clock, sender_clock, streams, seed, repair),
        make_receiver(clock, latency, seed, repair=repair != "none"),
        Link(conditions, seed, log=log),
        Link(conditions if back is None else back, seed + 1, log=log),
        sender_clock,
    )


def make_sender(
    clock: VirtualClock, sender_clock: SenderClock, streams: Sequence[StreamConfig], seed: int, repair: Repair = "none"
) -> SenderSession:
    """A sender that starts now; another seed is another start of the program."""
    now = sender_clock.local(clock.now)
    return SenderSession(streams, cname="sender@test", now=now, wall=clock.wall, random=Random(seed), repair=repair)


def make_receiver(clock: VirtualClock, latency: Latency, seed: int, *, repair: bool = False) -> ReceiverSession:
    """A receiver that starts now, with the default payload types."""
    formats = {number: Format(*described) for number, described in DEFAULT_PAYLOAD_TYPES.items()}
    rtx = DEFAULT_RTX_PAYLOAD_TYPES if repair else {}
    fec, red = (FEC_PAYLOAD_TYPE, RED_PAYLOAD_TYPE) if repair else (None, None)
    config = SessionConfig(formats, latency, cname="receiver@test", seed=seed, rtx=rtx, fec=fec, red=red)
    return ReceiverSession(config, clock.now)


def _transmit(transmissions: Iterable[Transmission], link: Link, now: int) -> None:
    for transmission in transmissions:
        for datagram in transmission.datagrams:
            link.send(bytes(datagram), now, transmission.path)


def _batches(arrived: list[Arrived]) -> list[Batch]:
    """One batch for each run of datagrams along the same path."""
    return [_batch(list(run), path) for path, run in groupby(arrived, key=lambda arrival: arrival[2])]


def _batch(run: list[Arrived], path: Hashable) -> Batch:
    lengths = np.array([len(data) for _, data, _ in run], np.int64)
    return Batch(
        np.frombuffer(b"".join(data for _, data, _ in run), np.uint8),
        np.cumsum(lengths) - lengths,
        lengths,
        np.array([moment for moment, _, _ in run], np.int64),
        path,
    )
