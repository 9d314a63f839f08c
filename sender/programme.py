"""What is sent at present: its feeds, and what all receivers together ask of their encoders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sender.feed import Feed, Outbox
from sender.media import AccessUnit
from sender.snapshot import SourceSnapshot
from sender.transmit.clock import MediaClock
from sender.transmit.key_frames import KeyFrameGate
from sender.transmit.rate import VideoRate

_SECOND = 1_000_000_000


class Programme:
    """Destinations have keys here. Only the network thread uses it, but for `timestamp_at` and `origin`."""

    def __init__(
        self,
        outbox: Outbox,
        feeds: Sequence[Feed[Any]],
        clock_rates: Sequence[int] = (),
        origin: int | None = None,
    ) -> None:
        """`clock_rates`: of each feed's stream, where timestamps have to be known beforehand, or go on from another
        programme's, whose `origin` this is."""
        self._outbox = outbox
        self._feeds = feeds
        self._gates = [KeyFrameGate() for _ in feeds]
        self._rates = [None if feed.rate is None else VideoRate(feed.rate[0]) for feed in feeds]
        self._losses: list[dict[int, float]] = [{} for _ in feeds]
        self._clock_rates = clock_rates
        self._clocks = [MediaClock(rate) for rate in clock_rates]
        self._offsets: list[int | None] = [None if origin is not None else 0 for _ in feeds]
        self.origin = origin
        """monotonic ns at which timestamps were 0; None before the first unit."""

    @property
    def ended(self) -> bool:
        """Every feed has ended and nothing waits."""
        return self._outbox.ended

    def take(self) -> list[tuple[int, AccessUnit]]:
        """Everything that waits: (index of the feed, unit)."""
        units = self._outbox.take()
        for feed, unit in units:
            if unit.key_frame:
                self._gates[feed].key_frame()
        return [(feed, self._timed(feed, unit)) for feed, unit in units] if self._clocks else units

    def timestamp_at(self, feed: int, now: int) -> int:
        """A unit's that is captured at that moment; 0 while nobody can know."""
        if self._offsets[feed] is not None and (timestamp := self._clocks[feed].timestamp_at(now)):
            return timestamp
        return 0 if self.origin is None else (now - self.origin) * self._clock_rates[feed] // _SECOND

    def request_key_frame(self, feed: int) -> None:
        """Somebody cannot decode."""
        self._gates[feed].request()

    def follows(self, feed: int) -> bool:
        """Whether its encoder takes bit-rates."""
        return self._rates[feed] is not None

    def limit(self, feed: int, by: int, bitrate: int | None) -> None:
        """What one destination takes of a feed, bit/s; None: all of it. Only pictures follow, if they are encoded
        here."""
        setting, rate = self._feeds[feed].rate, self._rates[feed]
        if setting is None or rate is None:
            return
        rate.limit(by, bitrate)
        self._set_rate(feed)

    def lose(self, feed: int, by: int, share: float) -> None:
        """What one destination loses of a feed; the worst decides."""
        losses = self._losses[feed]
        before = max(losses.values(), default=0.0)
        losses.pop(by, None)
        if share > 0:
            losses[by] = share
        worst = max(losses.values(), default=0.0)
        if worst != before:
            self._feeds[feed].expect_loss(worst)

    def forget(self, key: int) -> None:
        """This destination is gone."""
        for feed in range(len(self._feeds)):
            self.limit(feed, key, None)
            self.lose(feed, key, 0.0)

    def ask(self, now: int) -> None:
        """Pass requests for key frames on, as far as they are due."""
        for gate, feed in zip(self._gates, self._feeds, strict=True):
            if gate.take(now):
                feed.request_key_frame()

    def next_time(self) -> int | None:
        """When `ask` has something, monotonic ns."""
        return min((time for gate in self._gates if (time := gate.next_time()) is not None), default=None)

    def snapshot(self) -> tuple[SourceSnapshot, ...]:
        """What came from each source."""
        return tuple(feed.snapshot() for feed in self._feeds)

    def _timed(self, feed: int, unit: AccessUnit) -> AccessUnit:
        """With the timestamp that goes on from the programme before."""
        rate = self._clock_rates[feed]
        if self.origin is None:
            self.origin = unit.capture_time - unit.timestamp * _SECOND // rate
        offset = self._offsets[feed]
        if offset is None:
            offset = self._offsets[feed] = (unit.capture_time - self.origin) * rate // _SECOND - unit.timestamp
        unit = replace(unit, timestamp=unit.timestamp + offset) if offset else unit
        self._clocks[feed].observe(unit.timestamp, unit.capture_time)
        return unit

    def _set_rate(self, feed: int) -> None:
        setting, rate = self._feeds[feed].rate, self._rates[feed]
        if setting is not None and rate is not None and (bitrate := rate.take()) is not None:
            setting[1](bitrate)
