"""What happened once: for the report, and a line for the person where it matters to them."""

from __future__ import annotations

from collections.abc import Callable

from sender.snapshot import Event

_MAX_EVENTS = 1000


class Journal:
    """A flood of events is cut off."""

    def __init__(self, start: int, log: Callable[[str], None], *, verbose: bool = False) -> None:
        """`start`: monotonic ns; `verbose`: every event is a line."""
        self._start = start
        self._log = log
        self._verbose = verbose
        self._events: list[Event] = []

    def note(self, now: int, kind: str, why: str, line: str | None = None) -> None:
        """Into the report, and to the person when there is a line."""
        if len(self._events) >= _MAX_EVENTS:
            return
        self._events.append(Event((now - self._start) / 1e9, kind, why))
        if line is not None or self._verbose:
            self._log(line or f"{kind.replace('_', ' ')}: {why}")

    def say(self, line: str) -> None:
        """To the person alone."""
        self._log(line)

    def events(self) -> tuple[Event, ...]:
        return tuple(self._events)
