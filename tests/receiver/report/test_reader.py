"""Reports of today and of before, and files that are none. The early reports were written by the program as it was
before it knew bursts, traffic and the like."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from protocol.errors import UsageError
from receiver.report import reader
from receiver.report.document import document
from receiver.report.reader import read_report
from tests.receiver.report.example import counts, snapshot, video

VECTORS = Path(__file__).parents[2] / "vectors"


def test_what_was_written_is_read(tmp_path: Path) -> None:
    report = document(snapshot(video(counts(1000, lost=3))), {"video": "none"})
    (tmp_path / "report.json").write_text(json.dumps(report))
    for path in (tmp_path, tmp_path / "report.json"):
        found = read_report(path)
        assert {name: found[name] for name in report if name != "streams"} == {
            name: value for name, value in report.items() if name != "streams"
        }
        assert found["streams"][0] | report["streams"][0] == found["streams"][0]


def test_the_last_line_of_a_stream_is_a_report(tmp_path: Path) -> None:
    report = document(snapshot(video(counts(1000))), {})
    lines = [{"schema": "steadycast/1", "kind": kind, kind: report} for kind in ("interval", "report")]
    (tmp_path / "lines").write_text("\n".join(map(json.dumps, lines)) + "\n")
    assert read_report(tmp_path / "lines")["streams"][0]["ledger"]["sent"] == 1000


@pytest.mark.parametrize("name", ["report_1_early.json", "report_1_early_sender.json"])
def test_an_early_report_lacks_what_came_later(name: str) -> None:
    report = read_report(VECTORS / name)
    assert report["peers"] is None
    assert len(report["streams"]) == 2
    for stream in report["streams"]:
        assert stream["ledger"]["sent"] in (337, 250)
        assert stream["gilbert_elliott"] is stream["traffic"] is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no Steadycast report: it is no JSON"),
        (b"\xff\xfe\x00", "it is no text"),
        (b"hello", "is no Steadycast report: it is no JSON"),
        (b"[" * 100_000, "is no Steadycast report: it is no JSON"),
        (b'{"schema": "steadycast/1", "streams": [NaN]}', "is no Steadycast report: it is no JSON"),
        (b"[1]", "is no Steadycast report: write one with --json or --report"),
        (b'{"start": {"version": "iperf 3.16"}}', "is no Steadycast report: write one"),
        (b'{"schema": 1}', "is no Steadycast report: write one"),
        (b'{"schema": "steadycast/1.5"}', "is no Steadycast report: write one"),
        (b'{"schema": "steadycast/2"}', "was written by a newer Steadycast (schema steadycast/2"),
        (b'{"schema": "steadycast/1"}', "is damaged: its streams are no list"),
        (b'{"schema": "steadycast/1", "streams": [1]}', "is damaged: its streams are no list"),
        (b'{"schema": "steadycast/1", "streams": [{}], "intervals": [], "events": []}', "a stream has no ledger"),
    ],
)
def test_what_is_no_report(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read_report(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_report(tmp_path / "missing.json")
    with pytest.raises(UsageError, match="No such file"):
        read_report(tmp_path)


def test_an_older_version_goes_through_every_upgrade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it will be when version 3 has come."""
    monkeypatch.setattr(reader, "_VERSION", 3)
    monkeypatch.setattr(reader, "SCHEMA", "steadycast/3")
    monkeypatch.setattr(
        reader,
        "UPGRADES",
        {1: lambda report: report | {"verdict": "two"}, 2: lambda report: report | {"verdict": report["verdict"] * 2}},
    )
    report = {"schema": "steadycast/1", "verdict": "one", "streams": [], "intervals": [], "events": []}
    (tmp_path / "report.json").write_text(json.dumps(report))
    found = read_report(tmp_path)
    assert (found["schema"], found["verdict"]) == ("steadycast/3", "twotwo")
