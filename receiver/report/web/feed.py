"""The newest snapshot, for as many readers as there are: made into JSON only when somebody asks, and then once."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping

from receiver.report.csv_file import csv_text
from receiver.report.prometheus import prometheus_text
from receiver.report.snapshot import Snapshot
from receiver.report.web.history import FIELDS, History, point

Report = Callable[[Snapshot], Mapping[str, object]]
EVENTS = 100
"""newest ones that the page is told."""
_NOT_LIVE = ("intervals", "configuration", "versions", "peer", "peers")
"""of the report, what the page does not need each second."""


class Feed:
    """`publish` costs the caller next to nothing; whoever reads pays."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._changed = threading.Condition()
        self._making = threading.Lock()
        self._snapshot = Snapshot(0.0)
        self._history = History()
        self._number = 0
        self._closed = False
        self._update: tuple[int, bytes] = (-1, b"")

    def publish(self, snapshot: Snapshot) -> None:
        """The newest from now on."""
        moment = point(snapshot)
        with self._changed:
            self._snapshot = snapshot
            self._history.add(moment)
            self._number += 1
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def wait(self, after: int, timeout: float) -> int | None:
        """The number of the newest snapshot, as soon as it is above `after` or the time is over; None: closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._number > after, timeout)
            return None if self._closed else self._number

    def metrics(self) -> bytes:
        return prometheus_text(self._snapshot).encode()

    def report(self) -> bytes:
        """The whole report so far."""
        return _json(dict(self._report(self._snapshot)))

    def intervals(self) -> bytes:
        """The report's intervals as comma-separated values."""
        return csv_text(self._report(self._snapshot)).encode()

    def history(self) -> bytes:
        """What the charts begin with."""
        with self._changed:
            points = self._history.points()
        return _json({"fields": FIELDS, "points": points})

    def update(self) -> bytes:
        """What the page is told each second."""
        with self._changed:
            number, snapshot = self._number, self._snapshot
        with self._making:
            if self._update[0] != number:
                self._update = number, _json(self._live(snapshot))
            return self._update[1]

    def _live(self, snapshot: Snapshot) -> dict[str, object]:
        report = {name: value for name, value in self._report(snapshot).items() if name not in _NOT_LIVE}
        events = report.get("events")
        if isinstance(events, list):
            report["events"] = events[-EVENTS:]
        return {**report, "point": point(snapshot)}


def _json(value: object) -> bytes:
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
