"""--json-stream: every line an object, the last the report."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from protocol.command.program import Outcome, Request, run
from protocol.command.stream import JsonStream
from protocol.errors import NoPeerError
from tests.command.program_of_tests import PROGRAM


def report(seconds: float, *events: str) -> dict[str, Any]:
    return {
        "duration_s": seconds,
        "streams": [],
        "socket": None,
        "events": [{"time_s": 0.5, "kind": kind, "why": ""} for kind in events],
    }


def test_intervals_and_events() -> None:
    out = io.StringIO()
    stream = JsonStream(out, print)
    stream.interval(report(1.0))
    stream.interval(report(2.0, "goodbye"))
    stream.interval(report(3.0, "goodbye"))
    stream.events(report(3.5, "goodbye", "freeze"))
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["kind"] for line in lines] == ["interval", "event", "interval", "interval", "event"]
    assert {line["schema"] for line in lines} == {"steadycast/1"}
    assert [(line["interval"]["start_s"], line["interval"]["end_s"]) for line in lines if "interval" in line] == [
        (0.0, 1.0),
        (1.0, 2.0),
        (2.0, 3.0),
    ]
    assert [line["event"]["kind"] for line in lines if "event" in line] == ["goodbye", "freeze"]


def test_a_reader_that_goes_away_is_told_of_once() -> None:
    class Closed(io.StringIO):
        def flush(self) -> None:
            raise BrokenPipeError(32, "Broken pipe")

    said: list[str] = []
    stream = JsonStream(Closed(), said.append)
    stream.interval(report(1.0))
    stream.interval(report(2.0))
    assert said == ["--json-stream: cannot write to stdout: Broken pipe; the stream goes on"]


def test_the_last_line_is_the_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(PROGRAM, ["--json-stream"], lambda _request: Outcome(0, {"streams": []})) == 0
    assert capsys.readouterr().out == '{"schema":"steadycast/1","kind":"report","report":{"streams":[]}}\n'


@pytest.mark.parametrize("arguments", [["--json-stream"], ["--json-stream", "--latncy", "3"]])
def test_also_when_nothing_could_be_done(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    def fail(_request: Request) -> Outcome:
        raise NoPeerError("nobody")

    assert run(PROGRAM, arguments, fail) in (2, 3)
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["report"]["error"]
