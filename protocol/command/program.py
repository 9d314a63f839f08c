"""The shell around both programs: signals, exit codes, and a report in every case.

Exit codes: 0 done, 1 runtime error, 2 usage, 3 no peer, 4 a --fail-if holds, 130 second Ctrl-C.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType

from protocol.command import conditions, stream
from protocol.command.layers import gather
from protocol.command.options import Given, Program, read_values
from protocol.command.terminal import Terminal
from protocol.command.versions import versions
from protocol.errors import FatalError, ResourceError

INTERRUPTED = 130
_PASSWORD = re.compile(r"^(\w+://[^/:@]*):[^/]*@")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_GRACE = 2.0
"""seconds after the second Ctrl-C in which threads may still end by themselves."""
_MOMENT = 0.3
"""seconds in which signals are one: `timeout` sends each to the process and to its group, wrappers pass on what the
terminal sent already. Nobody asks for the second thing that quickly."""


@dataclass(frozen=True, slots=True)
class Outcome:
    exit_code: int
    report: Mapping[str, object] | None = None
    """the JSON object; None: nothing was streamed (--check, --list-devices)."""
    text: str = ""
    """for a person, on stderr; the first line is the verdict."""
    data: str = ""
    """for stdout."""
    files: Mapping[str, Callable[[], str]] = field(default_factory=dict)
    """what stands beside report.json in --report's directory: name → what makes the content."""
    failures: Sequence[str] = ()
    """each --fail-if that holds, a line that says why."""


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for, read and checked."""

    values: Mapping[str, object]
    given: Mapping[str, object]
    """as written, for the report's `configuration`."""
    terminal: Terminal
    stop: threading.Event = field(default_factory=threading.Event)
    """set by the first Ctrl-C."""


def run(program: Program, arguments: Sequence[str] | None, work: Callable[[Request], Outcome]) -> int:
    """Read the options, do the work, deliver its outcome; the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    terminal = Terminal(program.name, sys.stderr)
    given: dict[str, Given] = {}
    try:
        try:
            given = gather(program, arguments, os.environ)
            outcome = _work(program, given, terminal, work)
        except FatalError as error:
            terminal.error(str(error))
            outcome = _failed(str(error), error.exit_code, given)
        except KeyboardInterrupt:
            outcome = _failed("interrupted twice", INTERRUPTED, given)
        except Exception as error:  # a mistake in the program: said in one line, shown with -v
            outcome = _mistake(error, given, terminal)
        return _deliver(outcome, _wanted(arguments, given), terminal)
    except SystemExit as leaving:  # --help, --version
        return int(leaving.code or 0)
    finally:
        terminal.close()


def failure(message: str, given: Mapping[str, object]) -> dict[str, object]:
    """The report of a run that measured nothing."""
    return {
        "schema": "steadycast/1",
        "error": message,
        "verdict": message,
        "versions": versions(),
        "configuration": dict(given),
        "streams": [],
        "socket": None,
        "intervals": [],
        "events": [],
        "peer": None,
    }


def shown(given: Mapping[str, Given]) -> dict[str, object]:
    """What was given, for the report: without passwords in addresses."""
    return {key: _without_password(item.value) for key, item in given.items()}


def _without_password(value: object) -> object:
    if isinstance(value, list):
        return [_without_password(each) for each in value]
    return _PASSWORD.sub(r"\1@", value) if isinstance(value, str) else value


@contextmanager
def interruptible(stop: threading.Event, restore: Callable[[], None]) -> Iterator[None]:
    """The first SIGINT or SIGTERM sets `stop`; the second raises KeyboardInterrupt and soon, after `restore`, ends the
    process. Signals of one moment count once.

    `stop` is set by a thread: a signal handler interrupts the main thread anywhere, also inside `stop.wait()` while
    that holds the event's lock.
    """
    requests = _Requests()

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        if requests.add() and requests.count > 1:
            raise KeyboardInterrupt

    reading, writing = socket.socketpair()
    writing.setblocking(False)
    watcher = threading.Thread(target=_watch, args=(reading, stop, restore), name="signals", daemon=True)
    watcher.start()
    handlers = [signal.signal(number, interrupt) for number in _SIGNALS]
    wakeup = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in zip(_SIGNALS, handlers, strict=True):
            signal.signal(number, handler)
        writing.close()
        if requests.count < 2:
            watcher.join()


class _Requests:
    """How often the person has asked for the end."""

    def __init__(self) -> None:
        self.count = 0
        self._last = 0.0

    def add(self) -> bool:
        """A signal; False when it belongs to the one before."""
        now = time.monotonic()
        if self.count and now - self._last < _MOMENT:
            return False
        self.count, self._last = self.count + 1, now
        return True


def _watch(reading: socket.socket, stop: threading.Event, restore: Callable[[], None]) -> None:
    """Each byte is the number of a signal; the end of them, the end of the run."""
    requests = _Requests()
    with reading:
        while requests.count < 2 and (numbers := reading.recv(16)):
            if any(number in _SIGNALS for number in numbers):
                requests.add()
                stop.set()
    if requests.count > 1:
        time.sleep(_GRACE)
        restore()
        os._exit(INTERRUPTED)


def _work(
    program: Program, given: Mapping[str, Given], terminal: Terminal, work: Callable[[Request], Outcome]
) -> Outcome:
    values = read_values(program, given)
    log_file = values.get("log_file")
    terminal.configure(quiet=bool(values.get("quiet")), log_file=None if log_file is None else str(log_file))
    request = Request(values, shown(given), terminal)
    with interruptible(request.stop, terminal.restore), _watched_threads(request.stop, given, terminal) as mistakes:
        outcome = work(request)
    outcome = _with_mistake(outcome, mistakes[0]) if mistakes else outcome
    return _judged(outcome, values.get("fail_if", ()))


@contextmanager
def _watched_threads(stop: threading.Event, given: Mapping[str, Given], terminal: Terminal) -> Iterator[list[Outcome]]:
    """A thread that dies of a mistake ends the run, with its report: going on without it would be worse."""
    mistakes: list[Outcome] = []

    def died(what: threading.ExceptHookArgs) -> None:
        if isinstance(what.exc_value, Exception):
            mistakes.append(_mistake(what.exc_value, given, terminal))
            stop.set()

    before, threading.excepthook = threading.excepthook, died
    try:
        yield mistakes
    finally:
        threading.excepthook = before


def _with_mistake(outcome: Outcome, mistake: Outcome) -> Outcome:
    report = dict(outcome.report or {})
    report["error"] = report.get("error") or (mistake.report or {}).get("error")
    return replace(outcome, exit_code=outcome.exit_code or mistake.exit_code, report=report if outcome.report else None)


def _judged(outcome: Outcome, asked: object) -> Outcome:
    """With --fail-if. A run that failed by itself keeps its exit code, and is judged only if it measured something."""
    report = outcome.report
    if not asked or report is None or (outcome.exit_code and not report.get("streams")):
        return outcome
    assert isinstance(asked, tuple)
    held = conditions.failures(asked, report)
    exit_code = outcome.exit_code or (conditions.EXIT_CODE if held else 0)
    return replace(outcome, exit_code=exit_code, failures=held)


def _failed(message: str, exit_code: int, given: Mapping[str, Given]) -> Outcome:
    return Outcome(exit_code, failure(message, shown(given)))


def _mistake(error: Exception, given: Mapping[str, Given], terminal: Terminal) -> Outcome:
    message = f"internal error: {type(error).__name__}: {' '.join(str(error).split())}"
    details = "".join(traceback.format_exception(error))
    terminal.detail(details, shown="verbose" in given)
    terminal.error(message + ("" if "verbose" in given else " (-v shows where; please report it)"))
    return _failed(message, 1, given)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Where the report goes."""

    json: bool
    json_stream: bool
    directory: str | None


def _wanted(arguments: Sequence[str], given: Mapping[str, Given]) -> _Wanted:
    """`arguments` count when they could not be read."""

    def switched(name: str) -> bool:
        key = name.replace("-", "_")
        return bool(given[key].value) if key in given else not given and f"--{name}" in arguments

    directory = given["report"].value if "report" in given else None
    return _Wanted(switched("json"), switched("json-stream"), str(directory) if directory else None)


def _deliver(outcome: Outcome, wanted: _Wanted, terminal: Terminal) -> int:
    report, exit_code = outcome.report, outcome.exit_code
    if outcome.text:
        terminal.text(outcome.text, str((outcome.report or {}).get("error") or ""))
    for line in outcome.failures:
        terminal.error(line)
    try:
        if outcome.data:
            _print(outcome.data)
        if report is not None and wanted.json_stream:
            _print(stream.line("report", report))
        elif report is not None and wanted.json:
            _print(_as_text(report))
        if report is not None and wanted.directory:
            made = {name: make() for name, make in outcome.files.items()}
            _save({"report.json": _as_text(report) + "\n", **made}, Path(wanted.directory))
    except FatalError as error:
        terminal.error(str(error))
        exit_code = exit_code or error.exit_code
    return exit_code


def _as_text(report: Mapping[str, object]) -> str:
    return json.dumps(report, indent=2, allow_nan=False)


def _print(text: str) -> None:
    try:
        print(text, flush=True)
    except OSError as error:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  nothing more can be written there
        raise ResourceError(f"cannot write to stdout: {error.strerror}") from None


def _save(files: Mapping[str, str], directory: Path) -> None:
    path = directory
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            path = directory / name
            path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise ResourceError(f"--report: cannot write {path}: {error.strerror}") from None
