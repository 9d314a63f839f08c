"""The JSON object: the names programs rely on, and null for what was not measured."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from receiver.report.document import MAX_INTERVALS, document, interval, thinned
from receiver.report.snapshot import Event, Snapshot
from tests.receiver.report.example import audio, counts, snapshot, video

STREAM = (
    "ssrc media encoding payload_type epoch ledger ratios loss_runs bursts jitter_ms delay_variation_ms rtt_ms"
    " one_way_delay_ms buffer playout_delay_ms frames freezes concealment needed_buffer"
)
LEDGER = (
    "sent sent_known arrived lost lost_network lost_local lost_sender in_time recovered_rtx recovered_fec missed late"
    " arrived_after_recovery duplicates after_close before_join reordered corrupted"
)


def of(taken: Snapshot, **more: Any) -> dict[str, Any]:
    """Through JSON and back, as a program sees it."""
    report: dict[str, Any] = json.loads(json.dumps(document(taken, {"latency": "auto"}, **more), allow_nan=False))
    return report


def test_the_names_of_the_specification() -> None:
    report = of(snapshot(video(counts(6012, lost=29), loss_runs={2: 5, 1: 19})))
    assert set(report) >= {
        "schema", "error", "verdict", "versions", "configuration", "streams", "socket", "intervals", "events", "peer",
    }  # fmt: skip
    assert report["schema"] == "steadycast/1"
    (stream,) = report["streams"]
    assert set(stream) >= set(STREAM.split())
    assert set(stream["ledger"]) >= set(LEDGER.split())
    assert stream["ratios"]["network_loss"] == {"value": 29 / 6012, "numerator": 29, "denominator": 6012}
    assert list(stream["loss_runs"].items()) == [("1", 19), ("2", 5)]
    assert stream["buffer"] == {"delay_mean_ms": 23.4, "target_ms": 25.0, "emitted": 300}
    assert stream["playout_delay_ms"] == {"mean": 24.0, "p50": 23.0, "p95": 31.0}
    assert stream["freezes"] == {"count": 0, "seconds": 0.0}
    assert stream["concealment"] is None
    assert set(report["socket"]) >= {"datagrams", "unparsed", "kernel_drops"}


def test_what_was_not_measured_is_null_and_named() -> None:
    report = of(snapshot(audio(counts(None, lost=3), jitter_ms=float("nan")), kernel_drops=None))
    (stream,) = report["streams"]
    for name in ("jitter_ms", "rtt_ms", "one_way_delay_ms", "delay_variation_ms", "playout_delay_ms", "frames"):
        assert stream[name] is None
    assert stream["ledger"]["sent"] is None
    assert stream["ratios"]["network_loss"]["value"] is None
    assert report["socket"]["kernel_drops"] is None
    text = " ".join(report["not_measured"])
    for what in ("how many packets were sent", "round-trip time", "one-way delay", "kernel"):
        assert what in text


def test_error_events_and_intervals() -> None:
    taken = replace(snapshot(video(counts(10))), events=(Event(8.0, "key_frame_request", "a hole"),))
    rows = [interval(taken, None)]
    report = of(taken, error="the disk is full", intervals=rows)
    assert report["error"] == "the disk is full"
    assert report["events"] == [{"time_s": 8.0, "kind": "key_frame_request", "why": "a hole"}]
    assert report["intervals"][0]["streams"][0]["ledger"]["arrived"] == 10
    assert (report["intervals"][0]["start_s"], report["intervals"][0]["end_s"]) == (0.0, 10.0)


def test_a_long_run_keeps_a_bounded_number_of_rows_without_gaps() -> None:
    rows: list[dict[str, object]] = []
    for second in range(3 * MAX_INTERVALS):
        rows = thinned([*rows, {"start_s": second, "end_s": second + 1}])
        assert len(rows) <= MAX_INTERVALS
    assert (rows[0]["start_s"], rows[-1]["end_s"]) == (0, 3 * MAX_INTERVALS)
    assert all(before["end_s"] == after["start_s"] for before, after in itertools.pairwise(rows))


def test_every_field_is_documented() -> None:
    text = (Path(__file__).parents[3] / "docs" / "report.md").read_text()
    documented = set(re.findall(r"`([a-z0-9_]+)`", text))
    taken = snapshot(video(counts(10)), audio(counts(10)))
    report = of(taken, intervals=[interval(taken, None)])
    open_ended = {"configuration", "versions"}
    assert names(report, open_ended) - documented == set()


def names(value: Any, open_ended: set[str]) -> set[str]:
    if isinstance(value, list):
        return set().union(*(names(item, open_ended) for item in value))
    if not isinstance(value, dict):
        return set()
    inner = (names(item, open_ended) for key, item in value.items() if key not in open_ended)
    return set(value).union(*inner)
