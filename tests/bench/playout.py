"""The adaptive target of sound on recorded cellular paths, beside the best that could be known only afterwards and a
target as NetEq's. Virtual time; audio alone, 20 ms packets of 200 bytes over mahimahi traces (see `TRACES`).

    python -m tests.bench.playout

Delays are means over the packets played, above the trace's floor; late is the share that came after its playout. What
a rise beyond the stretch of playing inserts counts as late too.

- ours: `receiver.jitter.target` driven as a stream drives it, at the quickest `--latency auto:X` that loses no more.
- NetEq: its target only, as libwebrtc computes it (underrun_optimizer.cc, packet_arrival_history.cc), moved at once.
  Where its intervals of 500 ms begin and end changes its figures by a third on these traces: others, who re-implemented
  it too, found 107 ms at 1.41 %, 91 at 0.62 and 453 at 1.43 on the same three.
- optimum: one delay for each second (Moon, Kurose, Towsley, 1998), by a price for late packets swept over all values.
- stretched: the best sequence of delays that moves by no more than a quarter of the time, by dynamic programming.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from receiver.config import Latency
from receiver.jitter.target import STRETCH, policy

TRACES = Path(__file__).parents[3] / "shared" / "traces" / "mahimahi"
NAMES = ("Verizon-LTE-short.down", "TMobile-LTE-short.up", "ATT-LTE-driving-2016.down")
PACKET, SIZE, OPPORTUNITY = 20, 200, 1500
"""ms; bytes; bytes."""
MS = 1_000_000
Delays = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Point:
    """ms, percent."""

    delay: float
    late: float


@dataclass(frozen=True, slots=True)
class Result:
    name: str
    neteq: Point
    ours: Point
    caution: float
    optimum: float
    stretched: float

    @property
    def ratio(self) -> float:
        return self.ours.delay / self.neteq.delay


def delays(trace: Path) -> Delays:
    """ms that each packet is on its way, as long as the trace lasts. Several share an opportunity; one is gone when
    its moment has passed."""
    moments = np.loadtxt(trace, dtype=np.int64)
    sent = np.arange(0, moments[-1], PACKET)
    first = np.searchsorted(moments, sent)
    took = np.empty(len(sent))
    at, used = 0, 0
    for i, earliest in enumerate(first.tolist()):
        if earliest > at:
            at, used = earliest, 0
        if used + SIZE > OPPORTUNITY:
            at, used = at + 1, 0
        if at == len(moments):
            return took[:i]
        took[i] = moments[at] - sent[i]
        used += SIZE
    return took


def point(took: Delays, target: Delays, inserted: float = 0.0) -> Point:
    """`inserted`: packets' worth of gaps."""
    played = took <= target
    late = np.count_nonzero(~played) + inserted
    return Point(float(target[played].mean() - took.min()), float(100 * late / len(took)))


def neteq(took: Delays) -> Point:
    """Quantile 0.95 of the greatest delay of each 500 ms above the least of 2 s, in 100 buckets of 20 ms that are
    forgotten by 0.983; the clock ticks each 10 ms."""
    buckets = 0.5 ** np.arange(1, 101)
    target, highest, since, updates = 80.0, 0.0, None, 0
    transit = np.floor((np.arange(len(took)) * PACKET + took) / 10) * 10 - np.arange(len(took)) * PACKET
    targets = np.empty(len(took))
    for i, above in enumerate(transit.tolist()):
        targets[i] = target
        relative = above - transit[max(0, i - 100) : i + 1].min()
        now = i * PACKET + above
        since = now if since is None else since
        if now - since > 500:
            forget = max(0.0, min(0.983, 1 - 2 / (updates + 1)))
            buckets *= forget
            buckets[min(99, int(highest // 20))] += 1 - forget
            target = 20.0 * (1 + int(np.searchsorted(np.cumsum(buckets), 0.95 * buckets.sum())))
            highest, since, updates = 0.0, now, updates + 1
        highest = max(highest, relative)
    return point(took, targets)


def ours(took: Delays, caution: float) -> Point:
    """As `receiver.stream` calls it: awaited, judged, observed."""
    target = policy(Latency(caution=caution), "audio")
    targets = np.empty(len(took))
    inserted, heard = 0.0, 0
    for i, lateness in enumerate((took * MS).astype(np.int64).tolist()):
        now = i * PACKET * MS + lateness
        before = target.delay
        target.awaited(lateness, now)
        stretched = (now - heard) * STRETCH / (1 + STRETCH)
        inserted += max(0.0, target.delay - before - stretched) / (PACKET * MS)
        targets[i], heard = target.delay / MS, now
        target.observe(lateness, now)
    return point(took, targets, inserted)


def least(took: Delays, late: float) -> tuple[Point, float]:
    """Ours with the smallest caution that loses at most `late` percent, and that caution."""
    for caution in np.linspace(0, 1, 101).tolist():
        found = ours(took, caution)
        if found.late <= late:
            break
    return found, caution


def optimum(took: Delays, late: float, length: int = 1000 // PACKET) -> float:
    """ms, at `late` percent: the lower convex hull of the curve."""
    spurts = [np.sort(took[at : at + length]) for at in range(0, len(took), length)]
    counts = [np.arange(len(spurt) + 1) for spurt in spurts]
    totals = [np.append(0, spurt) * count for spurt, count in zip(spurts, counts, strict=True)]
    points = []
    for price in np.geomspace(1, 1e5, 150):
        chosen = [int(np.argmin(total - price * count)) for total, count in zip(totals, counts, strict=True)]
        played = sum(chosen)
        delay = sum(float(total[j]) for total, j in zip(totals, chosen, strict=True))
        points.append((100 * (1 - played / len(took)), delay / played if played else 0.0))
    return _at(points, late) - float(took.min())


def stretched(took: Delays, late: float, step: int = 5, highest: int = 1500) -> float:
    """ms, at `late` percent: delays that move by a step from packet to packet, or not at all."""
    points = []
    for price in (100, 200, 400, 800, 1600, 3200, 6400):
        chosen = _path(took, price, np.arange(0, highest, step))
        played = took <= chosen
        points.append((100 * float(1 - played.mean()), float(chosen[played].mean())))
    return _at(points, late) - float(took.min())


def _path(took: Delays, price: float, levels: NDArray[np.int64]) -> Delays:
    """The cheapest sequence of levels: each played packet costs its delay, each late one `price`."""
    cost = np.zeros(len(levels))
    moves = np.zeros((len(took), len(levels)), np.int64)
    for i, delay in enumerate(took.tolist()):
        near = np.vstack((cost, np.append(cost[1:], np.inf), np.append(np.inf, cost[:-1])))
        best = near.argmin(axis=0)
        moves[i] = np.array([0, 1, -1])[best]
        cost = near[best, np.arange(len(levels))] + np.where(delay <= levels, levels, price)
    chosen = np.empty(len(took))
    at = int(cost.argmin())
    for i in range(len(took) - 1, -1, -1):
        chosen[i] = levels[at]
        at += int(moves[i, at])
    return chosen


def _at(points: list[tuple[float, float]], late: float) -> float:
    ordered = sorted(points)
    return float(np.interp(late, [x for x, _ in ordered], [y for _, y in ordered]))


def measure(name: str) -> Result:
    took = delays(TRACES / name)
    reference = neteq(took)
    found, caution = least(took, reference.late)
    return Result(name, reference, found, caution, optimum(took, found.late), stretched(took, found.late))


def line(result: Result) -> str:
    neteq, ours = result.neteq, result.ours
    return (
        f"{result.name:26} NetEq {neteq.delay:4.0f} ms, {neteq.late:.2f} % late; "
        f"ours (auto:{result.caution:.2f}) {ours.delay:4.0f} ms, {ours.late:.2f} %: {result.ratio:.2f} of it; "
        f"optimum {result.optimum:.0f} ms ({ours.delay / result.optimum:.1f} times), "
        f"stretched {result.stretched:.0f} ms ({ours.delay / result.stretched:.1f} times)"
    )


def main() -> None:
    for name in NAMES:
        print(line(measure(name)), flush=True)


if __name__ == "__main__":
    main()
