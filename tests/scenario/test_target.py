"""The target delay in whole sessions: another route, a blackout, heavy jitter, repair."""

from __future__ import annotations

from dataclasses import replace
from statistics import median, quantiles

import pytest

from tests.scenario import told
from tests.support import pair
from tests.support.clock import MILLISECOND as MS
from tests.support.clock import SECOND
from tests.support.netem import Conditions

PATH = Conditions(delay=20 * MS)


def captured(p: pair.Pair, media: str, rate: int) -> list[int]:
    """Of each whole unit, ns between its capture and its playout, frames leaving at a steady rate from the start."""
    units = [(moment, unit) for moment, unit in told.units(p, media) if unit.data and not unit.missing]
    start = min(fate.send_time for fate in p.forward.log)
    first = told.units(p, media)[0][1].timestamp
    return [
        max(moment, unit.playout_time) - start - (unit.timestamp - first) * SECOND // rate for moment, unit in units
    ]


@pytest.mark.parametrize("media", ["audio", "video"])
def test_a_blackout_of_two_seconds_leaves_no_delay_behind(media: str) -> None:
    conditions = replace(PATH, blackouts=((6 * SECOND, 8 * SECOND),))
    p = pair.meet(conditions, streams=(pair.AUDIO if media == "audio" else pair.VIDEO,))
    p.run((told.sound if media == "audio" else told.pictures)(6 * SECOND))
    before = median(told.extra_delay(p, media)[-50:])
    p.run((told.sound if media == "audio" else told.pictures)(4 * SECOND, first=6 * (50 if media == "audio" else 30)))
    last_second = told.extra_delay(p, media)[-25:]
    assert max(last_second) <= before + 10 * MS, "within the second after it"


def test_a_route_longer_by_200_ms_misses_ten_packets_and_adds_its_length() -> None:
    p = pair.meet(PATH, streams=(pair.AUDIO,))
    p.run(told.sound(10 * SECOND))
    before = median(told.extra_delay(p, "audio")[-50:])
    p.forward.change(Conditions(delay=220 * MS))
    p.run(told.sound(6 * SECOND, first=500))
    assert told.stream(p, "audio").ledger.missed <= 12
    assert median(told.extra_delay(p, "audio")[-25:]) <= before + 80 * MS
    p.run(told.sound(20 * SECOND, first=800))
    assert median(told.extra_delay(p, "audio")[-25:]) <= before + 10 * MS


def test_pictures_are_not_held_back_for_the_worst_of_the_jitter() -> None:
    """30 ms of jitter (cut at 0 and at three deviations) with reordering: 20 ms is the path."""
    p = pair.meet(replace(PATH, jitter=30 * MS), streams=(pair.VIDEO,), seed=7)
    p.run(told.pictures(30 * SECOND))
    p.finish()
    delays = captured(p, "video", 90_000)[100:]
    assert len(delays) >= 0.997 * 800
    assert median(delays) <= 62 * MS
    assert quantiles(delays, n=20)[-1] <= 100 * MS
    told.assert_true(p)
