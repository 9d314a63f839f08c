"""The terminal as one page that is drawn again when something changed, and given back as it was."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType

from rich.console import Console, RenderableType
from rich.live import Live

from protocol.command.page import Page, lay_out
from protocol.command.terminal import Terminal

_PERIOD = 0.25
"""s between two looks whether anything changed: nothing is drawn more often."""
_LINES = 100

Line = tuple[float, str]
"""time.monotonic() at which it was said."""


class Screen:
    """While entered, the terminal shows `page`, which is given the newest lines that the program said."""

    def __init__(self, terminal: Terminal, page: Callable[[tuple[Line, ...]], Page], console: Console | None = None):
        self._terminal, self._page = terminal, page
        self._console = console or Console(file=terminal.stream, highlight=False, soft_wrap=False)
        self._plain = not self._console.encoding.lower().startswith("utf")
        self._lines: deque[Line] = deque(maxlen=_LINES)
        self._changed = threading.Event()
        self._ended = threading.Event()
        self._live = Live(
            console=self._console,
            screen=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
            get_renderable=self._render,
        )
        self._drawing = threading.Thread(target=self._draw, name="dashboard", daemon=True)

    def __enter__(self) -> Screen:
        self._terminal.attach(self._say)
        try:
            self._live.start()
        except BaseException:
            self._terminal.detach()
            raise
        self._drawing.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        self._changed.set()
        self._drawing.join(1.0)
        try:
            self._live.stop()
        except OSError:
            pass  # the terminal is gone
        finally:
            self._terminal.detach()

    def change(self) -> None:
        """What the page is made of has changed."""
        self._changed.set()

    def _say(self, line: str) -> None:
        self._lines.append((time.monotonic(), line))
        self._changed.set()

    def _render(self) -> RenderableType:
        width, height = self._console.size
        return lay_out(self._page(tuple(self._lines)), width, height, plain=self._plain)

    def _draw(self) -> None:
        size = self._console.size
        while not self._ended.wait(_PERIOD):
            if self._changed.is_set() or self._console.size != size:
                self._changed.clear()
                size = self._console.size
                try:
                    self._live.refresh()
                except OSError:
                    return  # the terminal is gone; the stream goes on
