"""Delay figures of one stream that need no clock in common: interarrival jitter, delay variation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from receiver.account.clock import SenderClock
from receiver.account.histogram import Histogram

_SCALAR = 8
_GAIN = 1 / 16
_MEMORY = 1024
"""packets after which (15/16)**n is below the precision of a float64."""
_WEIGHTS = _GAIN * (1 - _GAIN) ** np.arange(_MEMORY - 1, -1, -1)


class InterarrivalJitter:
    """RFC 3550 §6.4.1 and A.8: J += (|D| - J)/16 for each packet in the order of arrival, D against the one before.

    Packets of one picture share a timestamp, so how the sender spaces them counts as jitter: that is the definition.
    """

    __slots__ = ("_arrival", "_tick", "_timestamp", "nanoseconds")

    def __init__(self, clock_rate: int) -> None:
        self.nanoseconds = 0.0
        self._tick = 1_000_000_000 / clock_rate
        self._arrival: int | None = None
        self._timestamp = 0

    def observe(self, timestamps: NDArray[np.int64], arrival_times: NDArray[np.int64]) -> None:
        """Unwrapped RTP timestamps and arrival times in monotonic ns, in the order of arrival. shapes (n,)."""
        n = len(timestamps)
        if n <= _SCALAR:
            for timestamp, arrival in zip(timestamps.tolist(), arrival_times.tolist(), strict=True):
                self.observe_one(timestamp, arrival)
            return
        if self._arrival is None:
            self._arrival, self._timestamp = int(arrival_times[0]), int(timestamps[0])
            timestamps, arrival_times, n = timestamps[1:], arrival_times[1:], n - 1
        transits = (arrival_times - self._arrival) - (timestamps - self._timestamp) * self._tick
        transits[1:] -= transits[:-1].copy()
        recent = np.abs(transits[-_MEMORY:])
        self.nanoseconds = self.nanoseconds * (1 - _GAIN) ** n + float(_WEIGHTS[-len(recent) :] @ recent)
        self._arrival, self._timestamp = int(arrival_times[-1]), int(timestamps[-1])

    def observe_one(self, timestamp: int, arrival: int) -> None:
        """As `observe`, of one packet."""
        if self._arrival is not None:
            difference = abs(arrival - self._arrival - (timestamp - self._timestamp) * self._tick)
            self.nanoseconds += (difference - self.nanoseconds) * _GAIN
        self._arrival, self._timestamp = arrival, timestamp


class Delay:
    """Jitter and packet delay variation of one stream.

    Variation (RFC 5481 §4.2) is how much longer than the least transit each packet took. The least transit is that
    of account.clock: the minimum of its window, the clocks' skew taken out, so that neither hours of drift nor another
    route count as variation. Every copy has jitter (RFC 3550); the distribution is of first copies alone.
    """

    def __init__(self, clock_rate: int, clock: SenderClock | None = None) -> None:
        """`clock`: of the same sender, which is fed here then and nowhere else; None: one of its own."""
        self._clock_rate = clock_rate
        self._jitter = InterarrivalJitter(clock_rate)
        self._clock = SenderClock(clock_rate) if clock is None else clock
        self._variation = Histogram()
        self._packets = 0

    def observe(self, timestamps: NDArray[np.int64], arrival_times: NDArray[np.int64]) -> NDArray[np.int64]:
        """Unwrapped RTP timestamps and arrival times in monotonic ns, in the order of arrival. shapes (n,).

        Returns by how many ns each took longer than the least transit, for `count`. shape (n,).
        """
        n = len(timestamps)
        if n == 1:
            return np.array([self.observe_one(timestamps.item(), arrival_times.item())])
        self._packets += n
        self._jitter.observe(timestamps, arrival_times)
        return self._clock.observe(timestamps, arrival_times)

    def observe_one(self, timestamp: int, arrival: int) -> int:
        """As `observe`, of one packet."""
        self._packets += 1
        self._jitter.observe_one(timestamp, arrival)
        return self._clock.observe_one(timestamp, arrival)

    def count(self, excess: NDArray[np.int64]) -> None:
        """What `observe` returned of the packets that count. shape (n,)."""
        if len(excess) == 1:
            self.count_one(excess.item())
        else:
            self._variation.add(excess // 1000)

    def count_one(self, excess: int) -> None:
        """As `count`, of one packet."""
        self._variation.add_one(excess // 1000)

    @property
    def jitter(self) -> int | None:
        """Interarrival jitter in ns; None before two packets came."""
        return int(self._jitter.nanoseconds) if self._packets > 1 else None

    @property
    def jitter_ticks(self) -> int:
        """As a report block carries it: RTP clock units, at most 32 bits."""
        return min(0xFFFF_FFFF, int(self._jitter.nanoseconds * self._clock_rate / 1e9))

    def variation(self) -> dict[str, int | None]:
        """ns above the least transit by percentile within 1.6 %; None before the first packet."""
        shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
        micro = {name: self._variation.percentile(share) for name, share in shares.items()}
        return {name: None if value is None else value * 1000 for name, value in micro.items()}

    def distribution(self) -> dict[int, int]:
        """Packets by µs above the least transit, the least value of each bin, ascending."""
        return self._variation.bins()
