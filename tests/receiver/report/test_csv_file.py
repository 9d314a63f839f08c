"""intervals.csv, read back by Python's csv."""

from __future__ import annotations

import csv
import io

from receiver.report.csv_file import csv_text
from receiver.report.document import document, interval
from tests.receiver.report.example import audio, counts, snapshot, video


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_row_for_each_interval_and_stream() -> None:
    first = snapshot(video(counts(100, lost=1)), time_s=1.0)
    second = snapshot(video(counts(200, lost=3)), audio(counts(None)), time_s=2.0)
    rows = read(csv_text(document(second, {}, intervals=[interval(first, None), interval(second, first)])))
    assert [(row["start_s"], row["end_s"], row["media"], row["ssrc"], row["epoch"]) for row in rows] == [
        ("0.0", "1.0", "video", "4660", "0"),
        ("1.0", "2.0", "video", "4660", "0"),
        ("1.0", "2.0", "audio", "22136", "0"),
    ]
    assert [row["ledger.lost"] for row in rows] == ["1", "3", "0"]
    assert [row["ledger.sent"] for row in rows] == ["100", "200", ""]  # null is an empty cell, not 0
    assert [row["jitter_ms"] for row in rows] == ["3.25", "3.25", ""]


def test_whatever_stands_in_a_row_is_a_column() -> None:
    """Columns come from the rows, also where only a later row has them; lists are no cells."""
    report = {
        "streams": [],
        "intervals": [
            {"start_s": 0, "end_s": 1, "final": True, "streams": [{"ssrc": 1, "epoch": 0, "a": {"b": 2}, "c": [1]}]},
            {"start_s": 1, "end_s": 2, "final": False, "streams": [{"ssrc": 1, "epoch": 0, "d": '1,5 "x"'}]},
        ],
    }
    text = csv_text(report)
    assert text.startswith("start_s,end_s,media,ssrc,epoch,final,a.b,d\r\n")
    assert [(row["final"], row["a.b"], row["d"]) for row in read(text)] == [
        ("True", "2", ""),
        ("False", "", '1,5 "x"'),
    ]


def test_without_intervals_there_is_a_header() -> None:
    assert csv_text(document(snapshot(), {})) == "start_s,end_s,media,ssrc,epoch\r\n"
