"""--json-stream: lines of JSON on stdout, each an object of its own; docs/report.schema.json describes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TextIO

SCHEMA = "steadycast/1"
_INTERVAL = ("streams", "sources", "targets", "socket")
"""of the report, what each interval has as well; a receiver has no sources and targets."""


def line(kind: str, content: Mapping[str, object]) -> str:
    """`content` under the name of its kind: interval, event or report."""
    return json.dumps({"schema": SCHEMA, "kind": kind, kind: content}, separators=(",", ":"), allow_nan=False)


class JsonStream:
    """A line for each interval and event, until nobody reads them any more. The last line, the report, is the
    program's."""

    def __init__(self, stream: TextIO, log: Callable[[str], None]) -> None:
        self._stream, self._log = stream, log
        self._broken = False
        self._time_s = 0.0
        self._events = 0

    def interval(self, report: Mapping[str, Any]) -> None:
        """`report` is as if the run ended now: its figures are cumulative. The rows of the past are not told again and
        again: the last line has them."""
        self.events(report)
        start, self._time_s = self._time_s, report["duration_s"]
        figures = {name: report[name] for name in _INTERVAL if name in report}
        figures["streams"] = [
            {name: value for name, value in stream.items() if name != "intervals"} for stream in report["streams"]
        ]
        self._write("interval", {"start_s": start, "end_s": self._time_s, **figures})

    def events(self, report: Mapping[str, Any]) -> None:
        """Those that were not told yet."""
        events = report["events"][self._events :]
        for event in events:
            self._write("event", event)
        self._events += len(events)

    def _write(self, kind: str, content: Mapping[str, object]) -> None:
        if self._broken:
            return
        text = line(kind, content) + "\n"
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError as error:
            self._broken = True
            self._log(f"--json-stream: cannot write to stdout: {error.strerror}; the stream goes on")
