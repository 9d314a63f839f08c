"""Everything a person reads while a program runs: one status line, and lines above it, on stderr.

On a terminal the status line is rewritten in place; anywhere else it is one plain line at a time.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TextIO

from protocol.errors import UsageError

_CLEAR_TO_END = "\x1b[K"
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
        self._lock = threading.Lock()

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
            self._above(f"{self._name}: {text}\n")

    def error(self, text: str) -> None:
        """One line that stays, also with -q."""
        self._record(text)
        self._above(f"{self._paint(self._name, 'red')}: {text}\n")

    def text(self, text: str, error: str = "") -> None:
        """A final text of several lines, the first the one that matters; with -q only its error, if it has one."""
        self._record(text)
        if self._quiet:
            if error:
                self.error(error)
        else:
            first, newline, rest = text.partition("\n")
            self._above(self._paint(first, "bold") + newline + rest.rstrip("\n") + "\n")

    def detail(self, text: str) -> None:
        """For the log file only."""
        self._record(text)

    def close(self) -> None:
        """Leave the status line standing and close the log file."""
        self._above("")
        self._end_log()

    def _above(self, text: str) -> None:
        with self._lock:
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
