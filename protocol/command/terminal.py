"""Everything a person reads while a program runs: one status line, and lines above it, on stderr.

On a terminal the status line is rewritten in place; anywhere else it is one plain line at a time.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TextIO

from protocol.errors import UsageError

_CLEAR_TO_END = "\x1b[K"
_RESTORE = "\x1b[?1049l\x1b[?25h"
"""the normal screen and the cursor."""
_KEPT = 100
"""lines said while a dashboard is up that are told again under it; the log file has them all."""
_STYLES = {"bold": "\x1b[1m", "red": "\x1b[31m"}


class Terminal:
    """Safe to use from any thread."""

    def __init__(self, name: str, stream: TextIO, environ: Mapping[str, str] = os.environ) -> None:
        self._name = name
        self._stream = stream
        self._live = stream.isatty() and environ.get("TERM", "") != "dumb"
        self._colour = self._live and not environ.get("NO_COLOR")
        self._quiet = False
        self._log_file: TextIO | None = None
        self._shown = False
        self._dashboard: Callable[[str], None] | None = None
        self._kept: deque[str] = deque(maxlen=_KEPT)
        self._lock = threading.Lock()

    @property
    def can_draw(self) -> bool:
        """Whether a dashboard has a place here."""
        return self._live and not self._quiet

    @property
    def stream(self) -> TextIO:
        return self._stream

    def attach(self, dashboard: Callable[[str], None]) -> None:
        """Until `detach` the whole screen is the dashboard's, and gets each line."""
        self._above("")
        with self._lock:
            self._dashboard = dashboard

    def detach(self) -> None:
        """Lines go to the stream again, and what was said meanwhile stands there."""
        with self._lock:
            self._dashboard = None
            kept = "".join(self._kept)
            self._kept.clear()
        self._above(kept)

    def restore(self) -> None:
        """Leave the screen usable when the process is about to end without `detach`."""
        if self._dashboard is not None:
            self._write(_RESTORE)

    def configure(self, *, quiet: bool = False, log_file: str | None = None) -> None:
        """Apply -q and --log-file. Raises UsageError when the file cannot be written."""
        self._quiet = quiet
        if log_file is not None:
            try:
                self._log_file = open(log_file, "a", encoding="utf-8", buffering=1)  # noqa: SIM115
            except OSError as error:
                raise UsageError(f"--log-file: cannot write {log_file}: {error.strerror}") from None

    def status(self, text: str) -> None:
        """Replace the status line."""
        if self._quiet:
            return
        with self._lock:
            if self._dashboard is not None:
                return
            if self._live:
                width = shutil.get_terminal_size().columns
                self._write(f"\r{text[: width - 1]}{_CLEAR_TO_END}")
                self._shown = True
            else:
                self._write(text + "\n")

    def log(self, text: str) -> None:
        """One line that stays."""
        self._record(text)
        if not self._quiet:
            self._above(f"{self._name}: {text}\n", text)

    def error(self, text: str) -> None:
        """One line that stays, also with -q."""
        self._record(text)
        self._above(f"{self._paint(self._name, 'red')}: {text}\n", text)

    def text(self, text: str, error: str = "") -> None:
        """A final text of several lines, the first the one that matters; with -q only its error, if it has one."""
        self._record(text)
        if self._quiet:
            if error:
                self.error(error)
        else:
            first, newline, rest = text.partition("\n")
            self._above(self._paint(first, "bold") + newline + rest.rstrip("\n") + "\n")

    def detail(self, text: str, *, shown: bool = False) -> None:
        """For the log file, and the terminal only if `shown`."""
        self._record(text)
        if shown:
            self._above(text)

    def close(self) -> None:
        """Leave the status line standing and close the log file."""
        self._above("")
        self._end_log()

    def _above(self, text: str, line: str = "") -> None:
        """`line` is what a dashboard shows of it."""
        with self._lock:
            if self._dashboard is not None:
                self._kept.append(text)
                if line:
                    self._dashboard(line)
                return
            if self._shown:
                text = "\n" + text
                self._shown = False
            self._write(text)

    def _write(self, text: str) -> None:
        if not text:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self._quiet = True  # nobody reads any more; the stream itself goes on

    def _record(self, text: str) -> None:
        if self._log_file is None:
            return
        moment = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        try:
            self._log_file.writelines(f"{moment} {line}\n" for line in text.splitlines())
        except OSError as error:
            self._end_log()
            self._above(f"{self._name}: --log-file: {error.strerror}; nothing more is written to it\n")

    def _end_log(self) -> None:
        log_file, self._log_file = self._log_file, None
        if log_file is not None:
            with suppress(OSError):  # a full disk has been told of, or the last line is what does not fit
                log_file.close()

    def _paint(self, text: str, style: str) -> str:
        return f"{_STYLES[style]}{text}\x1b[0m" if self._colour else text
