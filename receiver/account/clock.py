"""The sender's clocks seen from here: when does a packet with this RTP timestamp arrive at the earliest, and what
time did the sender's own clock show at its capture?"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from receiver.account.skew import slope

_SECOND = 1_000_000_000
_WINDOW = 10
"""buckets of a second in which the least transit is looked for."""
_HISTORY = 240
"""buckets from which the skew is estimated."""
_SKEW_SPAN = 20
"""seconds of history without which no skew is assumed."""
_SKEW_EVERY = 8
"""seconds between one estimate of the skew and the next, which costs 1 ms."""
_MAX_SKEW = 1e-3
_SURE = 5e-6
"""the largest error with which a skew is told."""
_STEP, _STEP_BUCKETS = 100_000_000, 3
_JUMP = 500_000_000
_SCALAR = 4


@dataclass(slots=True)
class _Bucket:
    """About a second: its packet of least transit, and all of them."""

    time: int
    """ns since the first packet, on the sender's RTP clock."""
    transit: float
    """ns above the first packet's."""
    opened: int
    """monotonic ns."""
    total: float
    """sum of all transits."""
    packets: int


class SenderClock:
    """Maps unwrapped RTP timestamps to local monotonic time through the packets that took least.

    The least transit is the lowest of the last ten buckets of a second that held packets (a silence ages nothing), so
    a faster route is followed at once. A slower one is believed after three buckets that are all more than 100 ms
    above, or one that is 500 ms above, or when `rerouted` says so; smaller steps when the window has passed.
    """

    def __init__(self, clock_rate: int) -> None:
        self._clock_rate = clock_rate
        self._tick = _SECOND / clock_rate
        self._first: tuple[int, int] | None = None
        self._buckets: deque[_Bucket] = deque(maxlen=_HISTORY)
        self._floor = 0.0
        self._floor_time = 0
        self._skew = 0.0
        self._skew_error = np.inf
        self._closed = 0
        """buckets so far."""
        self._report: tuple[int, int] | None = None

    def observe(self, timestamps: NDArray[np.int64], arrival_times: NDArray[np.int64]) -> NDArray[np.int64]:
        """Packets in the order of their arrival, shapes (n,); unwrapped RTP ticks and monotonic ns.

        Returns by how many ns each took longer than the least transit, shape (n,), never below 0.
        """
        if not len(timestamps):
            return np.zeros(0, np.int64)
        if self._first is None:
            self._first = int(timestamps[0]), int(arrival_times[0])
        first_timestamp, first_arrival = self._first
        if len(timestamps) <= _SCALAR:
            pairs = list(zip(timestamps.tolist(), arrival_times.tolist(), strict=True))
            for pair in pairs:
                self.observe_one(*pair)
            return np.array([self._excess(*pair) for pair in pairs], np.int64)
        media = (timestamps - first_timestamp) * self._tick
        transits = (arrival_times - first_arrival) - media
        total = float(np.add.reduce(transits))
        level = transits - self._skew * media if self._skew else transits
        least = int(level.argmin())
        skew = self._skew
        self._add(int(media[least]), float(transits[least]), int(arrival_times[least]), total, len(transits))
        if self._skew != skew:
            level = transits - self._skew * media
        above: NDArray[np.int64] = np.maximum(level - self._level, 0).astype(np.int64)
        return above

    def observe_one(self, timestamp: int, arrival_time: int) -> int:
        """As `observe`, of one packet."""
        if self._first is None:
            self._first = timestamp, arrival_time
        media = (timestamp - self._first[0]) * self._tick
        transit = arrival_time - self._first[1] - media
        self._add(int(media), transit, arrival_time, transit, 1)
        return max(0, int(transit - self._skew * media - self._level))

    def _excess(self, timestamp: int, arrival_time: int) -> int:
        assert self._first is not None
        media = (timestamp - self._first[0]) * self._tick
        return max(0, int(arrival_time - self._first[1] - media - self._skew * media - self._level))

    def rerouted(self, slower: int) -> None:
        """The least transit is so many ns longer from now on: what was measured before is of another route."""
        self._forget_all_but(1)
        newest = self._buckets[-1]
        newest.transit = self._floor + self._skew * (newest.time - self._floor_time) + slower
        self._find_floor()

    def local_time(self, timestamp: int) -> int:
        """Monotonic ns at which a packet with this unwrapped timestamp arrives if it takes the least transit.

        Raises ValueError before the first packet.
        """
        if self._first is None:
            raise ValueError("no packet yet")
        first_timestamp, first_arrival = self._first
        ticks = timestamp - first_timestamp
        drift = self._skew * (ticks * self._tick - self._floor_time)
        return first_arrival + ticks * _SECOND // self._clock_rate + round(self._floor + drift)

    @property
    def skew_ppm(self) -> float | None:
        """How much slower than ours the sender's RTP clock runs (transit grows); None until it is known to 5 ppm."""
        return self._skew * 1e6 if self._skew_error <= _SURE else None

    @property
    def uncertainty(self) -> int | None:
        """ns by which the least transit differs from one second of the window to the next (median deviation)."""
        recent = list(self._buckets)[-_WINDOW:]
        if len(recent) < 2:
            return None
        levels = np.array([bucket.transit - self._skew * bucket.time for bucket in recent])
        return int(np.median(np.abs(levels - np.median(levels))))

    def sender_report(self, ntp_unix: int, timestamp: int) -> None:
        """An SR's pair: the sender's wall clock (Unix ns) and the unwrapped RTP timestamp of the same instant."""
        if self._report is None or ntp_unix > self._report[0]:
            self._report = ntp_unix, timestamp

    def capture_time(self, timestamp: int) -> int | None:
        """The sender's wall clock (Unix ns) at this unwrapped timestamp; None before the first SR.

        Streams of one CNAME share that clock: equal capture times belong together (lip-sync).
        """
        if self._report is None:
            return None
        ntp_unix, reported = self._report
        return ntp_unix + (timestamp - reported) * _SECOND // self._clock_rate

    # The least transit

    @property
    def _level(self) -> float:
        """The least transit at time 0, the skew taken out."""
        return self._floor - self._skew * self._floor_time

    def _add(self, time: int, transit: float, arrival: int, total: float, packets: int) -> None:
        """`time`, `transit`, `arrival`: of the quickest of so many `packets`; `total`: of all their transits."""
        buckets = self._buckets
        if not buckets or arrival - buckets[-1].opened >= _SECOND:
            if buckets:
                self._close_bucket()
            buckets.append(_Bucket(time, transit, arrival, total, packets))
        else:
            newest = buckets[-1]
            newest.total += total
            newest.packets += packets
            if transit - self._skew * time >= newest.transit - self._skew * newest.time:
                return
            newest.time, newest.transit = time, transit
            if transit > self._floor + self._skew * (time - self._floor_time):
                return
        self._find_floor()

    def _find_floor(self) -> None:
        recent = list(self._buckets)[-_WINDOW:]
        least = min(recent, key=lambda bucket: bucket.transit - self._skew * bucket.time)
        self._floor, self._floor_time = least.transit, least.time

    def _close_bucket(self) -> None:
        """Called when a second is over: look for a slower route, then estimate the skew anew."""
        buckets = self._buckets
        newest = [buckets[-1 - i] for i in range(min(_STEP_BUCKETS, len(buckets)))]
        above = [b.transit - (self._floor + self._skew * (b.time - self._floor_time)) for b in newest]
        if above[0] > _JUMP:
            self._forget_all_but(1)
        elif len(buckets) > _STEP_BUCKETS and min(above) > _STEP:
            self._forget_all_but(_STEP_BUCKETS)
        self._closed += 1
        if self._closed % _SKEW_EVERY == 0 and self._span() >= _SKEW_SPAN * _SECOND:
            self._estimate_skew()

    def _forget_all_but(self, count: int) -> None:
        for _ in range(len(self._buckets) - count):
            self._buckets.popleft()

    def _span(self) -> int:
        return self._buckets[-1].time - self._buckets[0].time if self._buckets else 0

    def _estimate_skew(self) -> None:
        """What was known to 5 ppm stays until something is again: a bad minute teaches nothing better."""
        rows = [(b.time, b.transit, b.total / b.packets, b.packets) for b in self._buckets]
        times, least, mean, packets = np.array(rows, np.float64).T
        found = slope(times, least, mean, packets, self._skew)
        if found is None or abs(found.value) > _MAX_SKEW:
            return
        if found.error <= max(_SURE, self._skew_error):
            self._skew_error, self._skew = found
