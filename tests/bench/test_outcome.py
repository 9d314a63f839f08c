"""Figures and rows of the resilience benchmark, from a record that is known."""

from __future__ import annotations

from typing import Any

import pytest

from tests.bench.outcome import outcome, overview, pooled, table
from tests.bench.rivals.stage import Record
from tests.bench.viewing import Sighting
from tests.support.clock import MILLISECOND, SECOND
from tests.support.live import FPS

T0 = 7 * SECOND
COUNT = 10 * FPS
WRITTEN = {number: T0 + number * SECOND // FPS for number in range(COUNT + FPS)}


def record(*, missing: range = range(0), packets: int = 1000, report: dict[str, Any] | None = None) -> Record:
    """Each picture seen 40 ms after it was written, a packet of 972 bytes every 10 ms there and one of 72 back."""
    sightings = [Sighting(WRITTEN[n] + 40 * MILLISECOND, n, 40.0) for n in range(COUNT) if n not in missing]
    sent = [T0 + number * 10 * MILLISECOND for number in range(packets)]
    there = [{"direction": "forward", "send_time": at, "size": 972, "arrivals": [at + 20 * MILLISECOND]} for at in sent]
    back = [{"direction": "back", "send_time": at, "size": 72, "arrivals": []} for at in sent]
    return Record(WRITTEN, sightings, there + back, 2.5, report, COUNT)


def test_a_record_in_figures() -> None:
    sound = {"total_samples_received": 48_000, "concealed_samples": 480}
    report = {"streams": [{"concealment": None}, {"concealment": sound}]}
    found = outcome(
        record(missing=range(100, 130), report=report), budget=150, settle=1, rate=1_000_000, interrupted=None
    )
    assert found.seconds == pytest.approx(9)
    assert found.good == found.undamaged == pytest.approx(240 / 270)
    assert [round(freeze / MILLISECOND) for freeze in found.freezes] == [1033]
    assert found.forward == pytest.approx(1000 * 8 * 100)
    assert found.back == pytest.approx(100 * 8 * 100)
    assert found.used == pytest.approx(0.8, abs=0.001)
    assert (found.start, found.cpu, found.concealed) == (40, 2.5, 0.01)
    assert found.lateness == pytest.approx(0, abs=1e-3)


def test_an_interruption_counts_from_the_networks_first_datagram() -> None:
    found = outcome(record(missing=range(60, 123)), budget=150, settle=0, rate=None, interrupted=(2.0, 4.0))
    assert found.returned is not None
    assert found.returned.first == pytest.approx(123_000 / FPS - 4000 + 40, abs=1e-3)
    assert found.returned.settled == 0


def test_seeds_are_pooled_and_told_against_the_clean_run() -> None:
    runs = [
        outcome(record(missing=missing), budget=150, settle=0, rate=None, interrupted=None)
        for missing in (range(0), range(30, 45))
    ]
    row = {"case": "loss5", "peer": "a", **pooled(runs), "forward_bps": 1_050_000.0}
    head, _, line = table([row], {"a": 1_000_000.0})
    assert head.count("|") == line.count("|")
    cells = [cell.strip() for cell in line.split("|")[1:-1]]
    assert cells == ["a", "97.50 %", "97.50 %", "40 ms", "40 ms", "3.0", "2.67 %", "+5.0 %", "80 kbit/s", "", "2.5 s"]
    assert overview([row], {"a": 1_000_000.0})[2] == "| a | 97.5 (97.5) %, 40 ms, 3, +5.0 % |"


def test_a_run_that_failed_is_a_row_without_figures() -> None:
    head, _, line = table([{"case": "loss5", "peer": "a", **pooled([])}], {})
    assert head.count("|") == line.count("|")
    assert line.startswith("| a | failed |")
