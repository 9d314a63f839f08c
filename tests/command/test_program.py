"""Exit codes, signals, and a report in every case."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path

import pytest

from protocol.command.program import Outcome, Request, run
from protocol.errors import FatalError, NoPeerError, ResourceError, UsageError
from tests.command.program_of_tests import PROGRAM


def done(_request: Request) -> Outcome:
    return Outcome(0, {"schema": "steadycast/1", "error": None}, "All went well.\ndetails", "")


def test_done(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(PROGRAM, [], done) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "All went well.\ndetails\n"


def test_quiet_says_nothing_and_json_goes_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(PROGRAM, ["-q", "--json"], done) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"schema": "steadycast/1", "error": None}
    assert captured.err == ""


def test_the_report_is_written_to_a_directory(tmp_path: Path) -> None:
    assert run(PROGRAM, ["--report", str(tmp_path / "new" / "dir")], done) == 0
    assert json.loads((tmp_path / "new" / "dir" / "report.json").read_text())["error"] is None


def test_a_directory_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert run(PROGRAM, ["--report", str(tmp_path / "file" / "dir")], done) == 1
    assert "steadycast-try: --report: cannot write" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"), [(UsageError("a"), 2), (ResourceError("b"), 1), (NoPeerError("c"), 3), (FatalError("d"), 1)]
)
def test_a_fatal_error_is_one_line_and_a_report(
    error: FatalError, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_request: Request) -> Outcome:
        raise error

    assert run(PROGRAM, ["--json", "--report", str(tmp_path), "--latency", "9ms"], fail) == code
    captured = capsys.readouterr()
    assert captured.err == f"steadycast-try: {error}\n"
    report = json.loads(captured.out)
    assert report == json.loads((tmp_path / "report.json").read_text())
    assert (report["schema"], report["error"], report["streams"]) == ("steadycast/1", str(error), [])
    assert report["configuration"] == {"json": True, "report": str(tmp_path), "latency": "9ms"}


def test_a_usage_error_in_json_mode_is_a_report_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(PROGRAM, ["--json", "--latncy", "3ms"], done) == 2
    assert "did you mean --latency?" in json.loads(capsys.readouterr().out)["error"]


def test_a_mistake_of_ours_is_one_line_unless_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def stumble(_request: Request) -> Outcome:
        raise KeyError("gone")

    log = tmp_path / "log"
    assert run(PROGRAM, ["--log-file", str(log)], stumble) == 1
    captured = capsys.readouterr().err
    assert captured.count("\n") == 1
    assert "internal error: KeyError" in captured
    assert "Traceback" in log.read_text()
    assert run(PROGRAM, ["-v"], stumble) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_thread_that_dies_ends_the_run_with_its_report(capsys: pytest.CaptureFixture[str]) -> None:
    before = threading.excepthook

    def work(request: Request) -> Outcome:
        def die() -> None:
            raise KeyError("gone")

        threading.Thread(target=die).start()
        assert request.stop.wait(5)
        return Outcome(0, {"error": None, "streams": [1]})

    assert run(PROGRAM, ["--json"], work) == 1
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert json.loads(captured.out) == {
        "error": "internal error: KeyError: 'gone'",
        "streams": [1],
    }
    assert threading.excepthook is before


def test_quiet_still_says_what_went_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    def work(_request: Request) -> Outcome:
        return Outcome(1, {"error": "the disk is full"}, "All went well but for the disk.")

    assert run(PROGRAM, ["-q"], work) == 1
    assert capsys.readouterr().err == "steadycast-try: the disk is full\n"


def test_the_first_signal_stops_and_the_second_interrupts(capsys: pytest.CaptureFixture[str]) -> None:
    stopped = []
    before = signal.getsignal(signal.SIGTERM)

    def work(request: Request) -> Outcome:
        os.kill(os.getpid(), signal.SIGTERM)
        stopped.append(request.stop.wait(5))
        return Outcome(0, {"error": None})

    assert run(PROGRAM, [], work) == 0
    assert stopped == [True]
    assert signal.getsignal(signal.SIGTERM) is before
    assert capsys.readouterr().err == ""


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(PROGRAM, ["--help"], done) == 0
    assert "--latency TIME" in capsys.readouterr().out
    assert run(PROGRAM, ["--version"], done) == 0
    assert capsys.readouterr().out.startswith("steadycast ")
