"""The terminal is one page while the screen is up, and afterwards as it was."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence

import pytest
from rich.console import Console

from protocol.command.page import Page
from protocol.command.screen import Screen
from protocol.command.terminal import Terminal

ON, OFF = "\x1b[?1049h", "\x1b[?1049l"
SHOW_CURSOR = "\x1b[?25h"


class Output(io.StringIO):
    """A stream that claims to be a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def page(lines: Sequence[tuple[float, str]]) -> Page:
    return Page("the title", "the verdict", (), (), tuple(text for _, text in lines))


@pytest.fixture
def output() -> Output:
    return Output()


def opened(output: Output) -> tuple[Terminal, Screen]:
    terminal = Terminal("name", output, {"TERM": "xterm"})
    console = Console(file=output, force_terminal=True, width=60, height=12, color_system=None)
    return terminal, Screen(terminal, page, console)


def wait_for(output: Output, text: str) -> None:
    end = time.monotonic() + 5
    while text not in output.getvalue():
        assert time.monotonic() < end, f"{text!r} was not drawn"
        time.sleep(0.02)


def test_lines_go_to_the_page_and_stand_below_it_afterwards(output: Output) -> None:
    terminal, screen = opened(output)
    with screen:
        terminal.status("a status line")
        terminal.log("some news")
        wait_for(output, "some news")
    drawn, after = output.getvalue().split(OFF)
    assert drawn.startswith(ON)
    assert "the title" in drawn
    assert "name: some news" not in drawn
    assert "a status line" not in drawn
    assert after.endswith("name: some news\n")
    assert SHOW_CURSOR in output.getvalue()
    terminal.log("more")
    assert output.getvalue().endswith("name: more\n")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_gives_the_terminal_back(output: Output, error: type[BaseException]) -> None:
    terminal, screen = opened(output)

    def fail() -> None:
        with screen:
            terminal.error("it broke")
            raise error

    with pytest.raises(error):
        fail()
    assert output.getvalue().count(ON) == output.getvalue().count(OFF) == 1
    assert output.getvalue().endswith("name\x1b[0m: it broke\n")


def test_nothing_is_drawn_while_nothing_changes(output: Output) -> None:
    _, screen = opened(output)
    with screen:
        screen.change()
        wait_for(output, "the verdict")
        drawn = len(output.getvalue())
        time.sleep(0.6)
        assert len(output.getvalue()) == drawn


def test_a_process_that_ends_at_once_restores_it_too(output: Output) -> None:
    terminal, screen = opened(output)
    terminal.restore()
    assert output.getvalue() == ""
    with screen:
        terminal.restore()
        assert output.getvalue().endswith(OFF + SHOW_CURSOR)


def test_a_terminal_that_is_gone_ends_the_drawing_only(output: Output) -> None:
    terminal, screen = opened(output)

    def gone(_text: str) -> int:
        raise OSError(5, "Input/output error")

    with screen:
        output.write = gone  # type: ignore[method-assign]
        screen.change()
        time.sleep(0.4)
    terminal.log("nobody reads this")


def test_what_is_drawn_on() -> None:
    assert Terminal("n", Output(), {"TERM": "xterm"}).can_draw
    assert not Terminal("n", Output(), {"TERM": "dumb"}).can_draw
    assert not Terminal("n", io.StringIO(), {"TERM": "xterm"}).can_draw
    quiet = Terminal("n", Output(), {"TERM": "xterm"})
    quiet.configure(quiet=True)
    assert not quiet.can_draw
