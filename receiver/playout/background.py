"""Work that must not hold up what feeds it: a bounded queue before a thread of its own."""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Generic, TypeVar

from receiver.libraries import av
from receiver.playout.outputs import Log

Item = TypeVar("Item")

_POLL = 0.1
_STUCK = 4.0
"""s in which nothing was written, at the end: what the file lies on takes nothing more."""


class Writer(Generic[Item]):
    """Hands each item to `write` on its own thread, then calls `finish`. The first error of either ends the writing
    with one line to the log; items that come when the queue is full are dropped and counted."""

    def __init__(
        self,
        name: str,
        write: Callable[[Item], None],
        finish: Callable[[], None],
        log: Log,
        limit: int,
        *,
        patient: bool = False,
    ) -> None:
        """`patient`: a full queue is waited for, since nothing comes in real time."""
        self._patient = patient
        self._name = name
        self._write = write
        self._finish = finish
        self._log = log
        self._queue: Queue[Item] = Queue(limit)
        self._closing = Event()
        self._written = 0
        self.dropped = 0
        self.failed = False
        self._thread = Thread(target=self._run, name=f"write {name}", daemon=True)
        self._thread.start()

    def put(self, item: Item) -> None:
        if self.failed:
            return
        try:
            self._queue.put(item, block=self._patient)
        except Full:
            self.dropped += 1

    def close(self) -> None:
        """Writes what is queued, then the end of the file; waits as long as that goes on."""
        self._closing.set()
        written = -1
        while self._thread.is_alive() and written < self._written:
            written = self._written
            self._thread.join(_STUCK)
        if self._thread.is_alive():
            self._fail(f"takes nothing for {_STUCK:.0f} s; the rest is not written to it")

    def _run(self) -> None:
        while not (self._closing.is_set() and self._queue.empty()):
            try:
                item = self._queue.get(timeout=_POLL)
            except Empty:
                continue
            if not self.failed:
                self._attempt(lambda item=item: self._write(item))  # type: ignore[misc]
            self._written += 1
        self._attempt(self._finish)

    def _attempt(self, work: Callable[[], None]) -> None:
        try:
            work()
        except (OSError, av.FFmpegError, ValueError) as error:
            self._fail(f"{getattr(error, 'strerror', None) or error}; nothing more is written to it")

    def _fail(self, why: str) -> None:
        if not self.failed:
            self.failed = True
            self._log(f"{self._name}: {why}")
