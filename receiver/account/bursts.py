"""Bursts of loss and the gaps between them, as RFC 3611 §4.7.2 defines them, over the fates of closed numbers.

A burst begins and ends with a lost or discarded packet and holds no Gmin received ones in a row; a single loss with
Gmin received packets on both sides belongs to the gap. What lies before the first and after the last packet counts as
received. Gmin is 16 for packets of 20 ms, that is 320 ms: where packets are much closer or much further apart, a power
of two times that many is used, so that a burst means the same on a listener's scale. The spacing is known only at the
end, so the account is kept for every such Gmin at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from receiver.account.row import Row, Run

GMIN = 16
SPACING = 20_000_000
"""ns between packets for which Gmin is 16."""
_GMINS = tuple(1 << power for power in range(2, 13))
"""4 (packets 80 ms apart) to 4096 (13,000 packets a second)."""
_PENDING = 512
"""runs that are folded into the sums at once."""


@dataclass(frozen=True, slots=True)
class BurstCounts:
    """Sums over whole bursts, in packets."""

    gmin: int
    packets: int = 0
    """closed numbers."""
    lost: int = 0
    """lost or discarded, anywhere."""
    bursts: int = 0
    burst_packets: int = 0
    burst_lost: int = 0

    @property
    def burst_density(self) -> float | None:
        """Share lost or discarded within bursts; None where there was none."""
        return self.burst_lost / self.burst_packets if self.burst_packets else None

    @property
    def gap_density(self) -> float | None:
        """Share lost or discarded within gaps; None where nothing was received between bursts."""
        packets = self.packets - self.burst_packets
        return (self.lost - self.burst_lost) / packets if packets else None

    @property
    def burst_length(self) -> float | None:
        """Mean, packets."""
        return self.burst_packets / self.bursts if self.bursts else None

    @property
    def gap_length(self) -> float | None:
        """Mean, packets; there is a gap before the first burst and after the last one."""
        packets = self.packets - self.burst_packets
        return packets / (self.bursts + 1) if packets else None


@dataclass(frozen=True, slots=True)
class _Sums:
    """What the runs so far come to with one Gmin; `begin` to `end` is the newest cluster, which may still grow."""

    gmin: int
    begin: int = 0
    end: int = 0
    lost: int = 0
    """within the newest cluster."""
    bursts: int = 0
    burst_packets: int = 0
    burst_lost: int = 0


class Bursts:
    """Streaming, in constant memory."""

    def __init__(self) -> None:
        self._row = Row()
        self._lost = 0
        self._pending: list[Run] = []
        self._sums = tuple(_Sums(gmin) for gmin in _GMINS)

    def observe(self, flags: NDArray[np.bool_]) -> None:
        """The next fates, shape (n,): True where the packet was lost or discarded."""
        self._take(self._row.add(flags))

    def good(self, count: int) -> None:
        """`count` packets in a row that were received in time."""
        self._take(self._row.clear(count))

    def bad(self, count: int) -> None:
        """`count` packets in a row that were lost or discarded."""
        self._row.set(count)

    def counts(self, spacing: float | None = None) -> BurstCounts:
        """`spacing`: mean ns between packets, for Gmin; None: 20 ms."""
        runs = self._pending + self._row.open
        sums = _close(_fold(self._sums[_GMINS.index(scaled_gmin(spacing))], runs))
        lost = self._lost + sum(end - begin for begin, end in runs)
        return BurstCounts(sums.gmin, self._row.length, lost, sums.bursts, sums.burst_packets, sums.burst_lost)

    def _take(self, runs: list[Run]) -> None:
        self._pending += runs
        if len(self._pending) >= _PENDING:
            self._sums = tuple(_fold(sums, self._pending) for sums in self._sums)
            self._lost += sum(end - begin for begin, end in self._pending)
            self._pending = []


def scaled_gmin(spacing: float | None) -> int:
    """16, or where `spacing` (ns) is far from 20 ms the power of two nearest to 320 ms of packets, 4 to 4096."""
    if not spacing or spacing <= 0:
        return GMIN
    power = round(math.log2(SPACING / spacing))
    return min(_GMINS[-1], max(_GMINS[0], GMIN << power if power >= 0 else GMIN >> -power))


def _fold(sums: _Sums, runs: list[Run]) -> _Sums:
    """With the next runs of lost packets, in order."""
    if not runs:
        return sums
    begins, ends = np.array(runs, np.int64).T
    lengths = ends - begins
    if sums.lost and begins[0] - sums.end < sums.gmin:  # the newest cluster goes on
        begins[0], lengths[0] = sums.begin, lengths[0] + sums.lost
    else:
        sums = _close(sums)
    received = begins[1:] - ends[:-1]
    first = np.concatenate(([0], np.flatnonzero(received >= sums.gmin) + 1))
    last = np.concatenate((first[1:] - 1, [len(begins) - 1]))
    lost = np.add.reduceat(lengths, first)
    spans = ends[last] - begins[first]
    whole = lost[:-1] > 1
    return replace(
        sums,
        begin=int(begins[first[-1]]),
        end=int(ends[-1]),
        lost=int(lost[-1]),
        bursts=sums.bursts + int(np.count_nonzero(whole)),
        burst_packets=sums.burst_packets + int(spans[:-1][whole].sum()),
        burst_lost=sums.burst_lost + int(lost[:-1][whole].sum()),
    )


def _close(sums: _Sums) -> _Sums:
    """Nothing more belongs to the newest cluster; a single loss is no burst."""
    if sums.lost < 2:
        return replace(sums, lost=0)
    return replace(
        sums,
        lost=0,
        bursts=sums.bursts + 1,
        burst_packets=sums.burst_packets + sums.end - sums.begin,
        burst_lost=sums.burst_lost + sums.lost,
    )
