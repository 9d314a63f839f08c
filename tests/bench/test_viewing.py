"""The judge of the resilience benchmark, given runs whose faults are known."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest

from tests.bench.viewing import SOUND, Sighting, Viewer, back_after, judge, numbered, worst_tile
from tests.support.clock import MILLISECOND
from tests.support.live import FPS, HEIGHT, scene

MS = MILLISECOND
WRITTEN = {number: number * 1000 * MS // FPS for number in range(300)}


def seen(numbers: range, delay: int = 60, quality: float = 30.0) -> list[Sighting]:
    return [Sighting(WRITTEN[number] + delay * MS, number, quality) for number in numbers]


def test_a_clean_run_has_nothing_to_complain_of() -> None:
    viewing = judge(WRITTEN, seen(range(300)), range(300))
    assert (viewing.undamaged, viewing.good(60), viewing.good(59), viewing.freezes) == (1, 1, 0, ())
    assert set(viewing.delays) == {60.0}


def test_damaged_missing_late_and_repeated_pictures_are_counted_as_such() -> None:
    sightings = [
        *seen(range(100)),
        *seen(range(100, 110), quality=SOUND - 0.1),
        *seen(range(110, 200)),
        Sighting(WRITTEN[200], None, 0.0),
        *seen(range(200, 290), delay=160),
        *seen(range(150, 160), delay=900),
    ]
    viewing = judge(WRITTEN, sightings, range(300))
    assert viewing.undamaged == pytest.approx(280 / 300)
    assert viewing.good(150) == pytest.approx(190 / 300)
    assert np.percentile(viewing.delays, 95) == 160
    gap, end = viewing.freezes
    assert gap == pytest.approx(11 / FPS * 1e9, abs=1e3)  # 100 to 109 were damaged; before 200 only 133 ms passed
    assert end == WRITTEN[299] + 60 * MS - WRITTEN[289] - 160 * MS


def test_only_the_span_is_judged() -> None:
    assert judge(WRITTEN, seen(range(100, 300)), range(100, 300)).undamaged == 1


def test_nothing_seen_is_one_freeze() -> None:
    viewing = judge(WRITTEN, [], range(300))
    assert (viewing.undamaged, viewing.good(1e9), viewing.freezes) == (0, 0, (WRITTEN[299],))


def test_the_way_back_is_timed_from_the_return_of_the_path() -> None:
    begin, end = WRITTEN[90] - 1, WRITTEN[150]
    caught_up = [Sighting(WRITTEN[number] + (160 - number) * 30 * MS, number, 30.0) for number in range(152, 158)]
    sightings = [*seen(range(90)), *caught_up, *seen(range(158, 300))]
    found = back_after(WRITTEN, judge(WRITTEN, sightings, range(300)), begin, end)
    assert found.first == pytest.approx((WRITTEN[152] - end) / MS + 240)
    assert found.settled == pytest.approx(max(seen.time - end for seen in caught_up) / MS)


def test_neighbours_and_a_stale_row_are_damage_and_grain_is_not() -> None:
    pictures = scene()
    wanted = numbered(pictures, 77)
    assert worst_tile(wanted, wanted) == 99
    grain = np.random.default_rng(1).normal(0, 8, wanted.shape)
    assert worst_tile(np.clip(wanted + grain, 0, 255).astype(np.uint8), wanted) > SOUND
    stale = wanted.copy()
    stale[160:200] = numbered(pictures, 76)[160:200]
    assert worst_tile(stale, wanted) < SOUND


def test_a_viewer_reads_raw_pictures_and_notes_their_faults() -> None:
    read, write = os.pipe()
    viewer = Viewer(read, raw=True)
    pictures = scene()

    def show() -> None:
        with os.fdopen(write, "wb") as pipe:
            for number in range(6):
                picture = pictures[number].copy()
                picture[:HEIGHT] = numbered(pictures, number)
                if number == 3:
                    picture[:16] = 128
                if number == 4:
                    picture[200:320] = pictures[1][200:320]
                pipe.write(picture.tobytes())

    thread = threading.Thread(target=show)
    thread.start()
    viewer.join(20)
    thread.join()
    assert [seen.number for seen in viewer.sightings] == [0, 1, 2, None, 4, 5]
    assert [seen.quality >= SOUND for seen in viewer.sightings] == [True, True, True, False, False, True]
