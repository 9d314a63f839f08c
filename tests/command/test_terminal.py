"""One line in place on a terminal, one plain line at a time elsewhere."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from protocol.command.terminal import Terminal
from protocol.errors import UsageError


class Screen(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_pipe_gets_plain_lines() -> None:
    stream = io.StringIO()
    terminal = Terminal("name", stream, {})
    terminal.status("one")
    terminal.status("two")
    terminal.log("news")
    terminal.text("verdict\nmore")
    assert stream.getvalue() == "one\ntwo\nname: news\nverdict\nmore\n"


def test_a_terminal_is_rewritten_in_place() -> None:
    stream = Screen()
    terminal = Terminal("name", stream, {"TERM": "xterm"})
    terminal.status("one")
    terminal.status("two")
    terminal.log("news")
    assert stream.getvalue() == "\rone\x1b[K\rtwo\x1b[K\nname: news\n"


def test_a_long_status_does_not_wrap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    stream = Screen()
    Terminal("name", stream, {"TERM": "xterm"}).status("x" * 50)
    assert stream.getvalue() == "\r" + "x" * 19 + "\x1b[K"


def test_a_dumb_terminal_gets_no_control_characters() -> None:
    stream = Screen()
    terminal = Terminal("name", stream, {"TERM": "dumb"})
    terminal.status("one")
    terminal.error("bad")
    assert stream.getvalue() == "one\nname: bad\n"


def test_colour_only_where_it_is_wanted() -> None:
    coloured, plain = Screen(), Screen()
    Terminal("name", coloured, {"TERM": "xterm"}).error("bad")
    Terminal("name", plain, {"TERM": "xterm", "NO_COLOR": "1"}).error("bad")
    assert coloured.getvalue() == "\x1b[31mname\x1b[0m: bad\n"
    assert plain.getvalue() == "name: bad\n"


def test_quiet_lets_only_errors_through() -> None:
    stream = io.StringIO()
    terminal = Terminal("name", stream, {})
    terminal.configure(quiet=True)
    terminal.status("one")
    terminal.log("news")
    terminal.text("verdict")
    terminal.error("bad")
    assert stream.getvalue() == "name: bad\n"


def test_the_log_file_keeps_every_line_with_its_time(tmp_path: Path) -> None:
    path = tmp_path / "log"
    terminal = Terminal("name", io.StringIO(), {})
    terminal.configure(quiet=True, log_file=str(path))
    terminal.log("news")
    terminal.text("verdict\nmore")
    terminal.close()
    lines = path.read_text().splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == ["news", "verdict", "more"]
    assert lines[0].startswith("20")


def test_a_log_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--log-file: cannot write"):
        Terminal("name", io.StringIO(), {}).configure(log_file=str(tmp_path))


def test_a_reader_that_went_away_is_no_error() -> None:
    stream = io.StringIO()
    terminal = Terminal("name", stream, {})
    stream.close()
    terminal.log("news")
