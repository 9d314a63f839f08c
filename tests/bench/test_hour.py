"""An hour of a 1080p30 stream's packets in virtual time: nothing grows, neither memory nor delay nor a queue."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from tests.support import traffic
from tests.support.clock import MILLISECOND, SECOND
from tests.support.netem import Conditions
from tests.support.pair import AUDIO, VIDEO, Pair, meet

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

MINUTES = int(os.environ.get("STEADYCAST_SOAK_MINUTES", "60"))
BITRATE = 8_000_000
FRAME = BITRATE // 30 // 8
WARM = 30
"""minutes in which windows fill: a thousand intervals, most of the newest 1024 runs of losses for the loss model."""
LOSS = 0.0005
PLAIN = Conditions(delay=20 * MILLISECOND, loss=LOSS)


@dataclass
class Minute:
    """The state at the end of one."""

    blocks: int
    """of Python's memory."""
    resident: int
    """bytes."""
    delays: dict[str, float]
    """ms from capture to playout, median of the units that came out, by media."""
    units: int


@dataclass
class Watch:
    """Looks at a pair each minute, and takes away what has come out of it."""

    pair: Pair
    minutes: list[Minute] = field(default_factory=list)
    started: int = 0

    def look(self) -> None:
        units, pair = self.pair.units, self.pair
        delays: dict[str, list[float]] = {"video": [], "audio": []}
        for _, unit in units:
            if not unit.missing:
                ticks = traffic.frame_number(unit.data)
                interval = 20 * MILLISECOND if unit.format.media == "audio" else SECOND / 30
                captured = pair.sender_clock.common(self.started + int(ticks * interval))
                delays[unit.format.media].append((unit.playout_time - captured) / MILLISECOND)
        medians = {media: float(np.median(found)) for media, found in delays.items()}
        count = len(units)
        for kept in (units, pair.sender_events, pair.receiver_events):
            kept.clear()
        gc.collect()
        self.minutes.append(Minute(sys.getallocatedblocks(), resident(), medians, count))

    def each_minute(self, items: Iterator[traffic.Item], look: Callable[[], None]) -> Iterator[traffic.Item]:
        """The same items; `look` is called whenever a minute of them has been captured."""
        after = 60 * SECOND
        for item in items:
            if item.at >= after:
                after += 60 * SECOND
                look()
            yield item


def resident() -> int:
    """Bytes of memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_an_hour_in_virtual_time() -> None:
    streams = (replace(VIDEO, bitrate=BITRATE), AUDIO)
    pair = meet(PLAIN, streams=streams, skew=50, log=False)
    watch = Watch(pair, started=pair.sender_clock.local(pair.clock.now))
    length = MINUTES * 60 * SECOND + SECOND
    video = traffic.video(length, size=FRAME, key_size=FRAME)
    pair.run(watch.each_minute(traffic.together(video, traffic.audio(length, stream=1)), watch.look))
    pair.finish()
    warm, last = watch.minutes[min(WARM, len(watch.minutes) // 2)], watch.minutes[-1]
    for at, minute in enumerate(watch.minutes, 1):
        if at % 10 == 0 or minute is last:
            print(
                f"minute {at:3}: {minute.blocks} blocks, {minute.resident / 1e6:.1f} MB, "
                f"delay {minute.delays['video']:.2f} and {minute.delays['audio']:.2f} ms, {minute.units} units"
            )
    assert last.blocks - warm.blocks < 0.02 * warm.blocks
    assert last.resident - warm.resident < 16_000_000
    assert abs(last.delays["video"] - warm.delays["video"]) < 3
    assert abs(last.delays["audio"] - warm.delays["audio"]) < 6
    assert all(minute.units >= 60 * (30 + 50) - 5 for minute in watch.minutes[1:])
    assert pair.receiver is not None
    for stream in pair.receiver.statistics().streams:
        counts = stream.ledger
        assert counts.sent_known
        assert counts.sent == counts.arrived + counts.lost
        assert counts.lost == pytest.approx(LOSS * counts.span, rel=0.4)
        assert stream.overflowed == 0
