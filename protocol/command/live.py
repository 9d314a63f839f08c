"""The forms that follow a run: each second's snapshot goes to all that were asked for."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from protocol.command.stream import JsonStream
from protocol.command.terminal import Terminal

if TYPE_CHECKING:
    from protocol.command.page import Page


class Moment(Protocol):
    """Both ends' snapshots."""

    @property
    def time_s(self) -> float: ...


S = TypeVar("S", bound=Moment)
S_in = TypeVar("S_in", contravariant=True)
View = Callable[[S], None]


class Dashboard(Protocol[S_in]):
    def add(self, snapshot: S_in) -> None: ...

    def page(self, lines: Sequence[tuple[float, str]]) -> Page:
        """`lines`: what the program said, each with the seconds since the start."""
        ...


@dataclass(frozen=True, slots=True)
class Forms(Generic[S]):
    """What the program makes of a snapshot."""

    line: Callable[[S, S | None], str]
    """the status line; the second is the snapshot before."""
    report: Callable[[S], Mapping[str, Any]]
    """the JSON object, as if the run ended now."""
    dashboard: Callable[[], Dashboard[S]]


class Views(Generic[S]):
    """What follows the run."""

    def __init__(self, views: Sequence[View[S]], stream: JsonStream | None) -> None:
        self._views, self._stream = views, stream

    def __call__(self, snapshot: S) -> None:
        for view in self._views:
            view(snapshot)

    def end(self, report: Mapping[str, Any]) -> None:
        """The run is over, and this came of it."""
        if self._stream is not None:
            self._stream.events(report)


@contextmanager
def views(
    forms: Forms[S], terminal: Terminal, *, json_stream: bool, dashboard: bool, more: Sequence[View[S]] = ()
) -> Iterator[Views[S]]:
    """What was asked for, and `more`; the terminal is given back at the end."""
    with ExitStack() as stack:
        shown = [*more]
        stream = JsonStream(sys.stdout, terminal.log) if json_stream else None
        if stream is not None:
            shown.append(_intervals(forms, stream))
        if dashboard and terminal.can_draw:
            shown.append(_drawn(forms.dashboard(), terminal, stack))
        else:
            shown.append(_status_line(forms, terminal))
            if dashboard:
                terminal.log("--dashboard: stderr is no terminal to draw on: a status line instead")
        yield Views(shown, stream)


def _intervals(forms: Forms[S], stream: JsonStream) -> View[S]:
    return lambda snapshot: stream.interval(forms.report(snapshot))


def _status_line(forms: Forms[S], terminal: Terminal) -> View[S]:
    before: S | None = None

    def view(snapshot: S) -> None:
        nonlocal before
        terminal.status(forms.line(snapshot, before))
        before = snapshot

    return view


def _drawn(dashboard: Dashboard[S], terminal: Terminal, stack: ExitStack) -> View[S]:
    from protocol.command.screen import Screen  # rich takes a while to load: only for those who look at it

    start = time.monotonic()
    screen = stack.enter_context(
        Screen(terminal, lambda lines: dashboard.page([(at - start, text) for at, text in lines]))
    )

    def view(snapshot: S) -> None:
        nonlocal start
        start = time.monotonic() - snapshot.time_s
        dashboard.add(snapshot)
        screen.change()

    return view
