"""A minute of pictures and sound on a bad network, in virtual time: what a viewer would have had of it.

    python -m tests.scenario.survival [--cases loss5,burst5] [--seeds 1,2,3] [--seconds 60]

The networks and the streams are those of tests/bench/resilience.py, which runs whole programs and rivals in real time;
here a minute takes seconds and the machine's load changes nothing, so many seeds can be weighed against each other.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from math import exp
from random import Random

import numpy as np
from numpy.typing import NDArray

from receiver.media import AccessUnit
from sender.session import KeyFrameRequested
from tests.support import traffic
from tests.support.clock import MILLISECOND as MS
from tests.support.clock import SECOND
from tests.support.netem import Conditions, GilbertElliott
from tests.support.pair import REPAIRED, Pair, meet

PATH = Conditions(delay=20 * MS)
CASES = {
    "clean": PATH,
    "loss2": replace(PATH, loss=0.02),
    "loss5": replace(PATH, loss=0.05),
    "loss10": replace(PATH, loss=0.10),
    "burst5": replace(PATH, bursts=GilbertElliott.of(0.05, 4)),
    "jitter30": replace(PATH, jitter=30 * MS),
    "delay150": Conditions(delay=150 * MS, loss=0.05),
}
BUDGETS = {"delay150": 200.0}
"""ms in which a picture has to be seen, where it is not 150."""
FPS, PACKET_TIME = 30, 20 * MS
FREEZE = 150.0
"""ms between two pictures."""
SETTLE = SECOND
_VIDEO, _AUDIO = replace(REPAIRED[0], bitrate=1_000_000), REPAIRED[1]
_ENCODING, _DECODING, _UNEVEN = 5 * MS, 2 * MS, 3 * MS
_SIZE, _SPREAD, _KEY = 4100, 0.25, 4
"""octets of a picture, the spread of their logarithms, and how many times as large one is that needs no other."""


@dataclass(frozen=True, slots=True)
class Survival:
    """One run. Shares are of all there was."""

    delays: NDArray[np.float64]
    """ms from capture to showing of each picture that was whole and needed none that was missing."""
    good: float
    """of pictures, shown so and in time."""
    freezes: float
    """a minute."""
    added: float
    """octets that were sent beside each octet of pictures, headers counted."""
    concealed: float
    """of sound."""


def survive(case: str, seed: int, seconds: int = 60, *, sound: bool = True) -> Survival:
    """One seed of one case."""
    streams = (_VIDEO, _AUDIO) if sound else (_VIDEO,)
    pair = meet(CASES[case], seed=seed, streams=streams, repair="auto")
    start = pair.clock.now
    media = [pictures(pair, seconds, seed), *([blocks(seconds, seed)] if sound else [])]
    pair.run(traffic.together(*media))
    pair.finish()
    shown = [(n, moment) for n, moment in showing(pair) if n * SECOND // FPS >= SETTLE]
    delays = np.array([moment - start - n * SECOND // FPS for n, moment in shown]) / MS
    gaps = np.diff([moment for _, moment in shown]) / MS
    heard = [unit for _, unit in pair.units if unit.format.media == "audio"]
    return Survival(
        delays,
        float(np.count_nonzero(delays <= BUDGETS.get(case, 150.0))) / (seconds * FPS - SETTLE * FPS // SECOND),
        float(np.count_nonzero(gaps > FREEZE)) * 60 / seconds,
        octets(pair) / octets(pair, _VIDEO.ssrc) - 1,
        sum(not unit.data for unit in heard) / max(1, len(heard)),
    )


def pictures(pair: Pair, seconds: int, seed: int) -> Iterator[traffic.Item]:
    """As of an encoder with intra refresh: of like size, larger where a key frame was asked for."""
    dice, seen = Random(seed), 0
    for number in range(seconds * FPS):
        key = number == 0 or any(isinstance(event, KeyFrameRequested) for _, event in pair.sender_events[seen:])
        seen = len(pair.sender_events)
        size = round(_SIZE * exp(dice.gauss(0, _SPREAD))) * (_KEY if key else 1)
        data = traffic.h264_frame(number, size, key)
        captured = number * SECOND // FPS
        yield traffic.Item(captured + _ENCODING, 0, data, captured * 90_000 // SECOND, key, _ENCODING)


def blocks(seconds: int, seed: int) -> Iterator[traffic.Item]:
    """Opus at 64 kbit/s, as unevenly as a device gives it."""
    dice = Random(seed + 1)
    for item in traffic.audio(seconds * SECOND, stream=1, size=160):
        age = PACKET_TIME + int(dice.random() * _UNEVEN)
        yield replace(item, at=item.at + age, age=age)


def showing(pair: Pair) -> Iterator[tuple[int, int]]:
    """(number, moment it is seen) of each picture that is whole, and so is all it needs."""
    intact, shown = False, 0
    for moment, unit in pair.units:
        if unit.format.media != "video":
            continue
        intact = bool(unit.data) and not unit.missing and (intact or _is_key(unit))
        if intact:
            shown = max(shown, moment, unit.playout_time)
            yield traffic.frame_number(unit.data), shown + _DECODING


def octets(pair: Pair, *ssrcs: int) -> int:
    """That were sent, with IP and UDP headers; of all where none is named."""
    return sum(
        fate.size + 28 for fate in pair.forward.log if not ssrcs or (_is_rtp(fate.head) and _ssrc(fate.head) in ssrcs)
    )


def _is_key(unit: AccessUnit) -> bool:
    return b"\x00\x00\x00\x01\x65" in unit.data[:40]


def _is_rtp(head: bytes) -> bool:
    return not 192 <= head[1] <= 223


def _ssrc(head: bytes) -> int:
    return int.from_bytes(head[8:12])


def told(case: str, runs: Sequence[Survival]) -> str:
    """A line of a table."""
    delays = np.concatenate([run.delays for run in runs])
    middle, high = np.percentile(delays, (50, 95))
    good, freezes, added, concealed = (
        float(np.mean([getattr(run, name) for run in runs])) for name in ("good", "freezes", "added", "concealed")
    )
    return (
        f"{case:9} in time {100 * good:6.2f} %  median {middle:4.0f} ms  p95 {high:4.0f} ms"
        f"  freezes {freezes:4.1f}/min  added {100 * added:5.1f} %  concealed {100 * concealed:5.3f} %"
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Bad networks in virtual time.")
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--seeds", default="1,2,3,4")
    parser.add_argument("--seconds", type=int, default=60)
    arguments = parser.parse_args()
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    with ProcessPoolExecutor() as pool:
        for case in arguments.cases.split(","):
            for sound in (True, False):
                jobs = [pool.submit(survive, case, seed, arguments.seconds, sound=sound) for seed in seeds]
                print("with sound " if sound else "pictures   ", told(case, [job.result() for job in jobs]), flush=True)


if __name__ == "__main__":
    main()
