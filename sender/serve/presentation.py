"""What is served: one capture and one encoder for everybody.

What happens now (a camera, a microphone, a pipe) is captured from the start. A file waits for its first viewer, stands
still while its only viewer pauses, and begins again for the first one after its end, or after the last one has left.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sender import companion, plan
from sender.capture.demuxer import SECOND, length
from sender.config import SenderConfig
from sender.feed import Outbox
from sender.plan import Plan
from sender.programme import Programme
from sender.sources import open_sources
from sender.transmit.stream import StreamConfig

_JOIN_S = 1.0

Log = Callable[[str], None]


class Presentation:
    """It belongs to the thread that speaks with receivers. Opening a file blocks for as long as that takes."""

    def __init__(self, config: SenderConfig, wake: Callable[[], None], log: Log, stop: threading.Event) -> None:
        """`wake` rouses the network thread; `stop` ends waiting for a FIFO. Raises FatalError."""
        self._config, self._wake, self._log, self._stop = config, wake, log, stop
        self._run = self._open(0, None)
        self.changed: Callable[[Programme], None] = lambda _: None
        """told of a programme that takes the place of the one before, before that ends."""
        self._begun = self._resting = False
        self._since = 0
        """monotonic ns at which it was at its beginning, or would have been."""
        self._at = 0
        """ns from its beginning at which it rests."""
        self.forms: Sequence[StreamConfig] = [form for _, form in self._run.plan]
        """what the streams are like, but for SSRC and paths."""
        files = [each for each in (config.video, config.audio) if each != "none"]
        self.live = not all(map(companion.is_file, files))
        self.duration = None if self.live or config.loop else max(map(length, files))
        """s; None: as long as it goes."""

    @property
    def programme(self) -> Programme:
        return self._run.programme

    @property
    def over(self) -> bool:
        """It has come to its end."""
        return self._begun and not self._resting and self.programme.ended

    def position(self, now: int) -> float:
        """s from its beginning, at monotonic ns."""
        if not self._running:
            return self._at / SECOND
        position = max(0, now - self._since) / SECOND
        return position if self.duration is None else min(position, self.duration)

    def begin(self, position: float | None = None) -> None:
        """Have it run, from `position` (s) on; None: as it runs, or from where it stands. Raises FatalError when it
        cannot be had again."""
        if self._running and position is None:
            return
        start = self._at if position is None else round(position * SECOND)
        if self._begun or start:
            before, self._run = self._run, self._open(start, self.programme.origin)
            self.changed(self.programme)
            before.stop()
        self._begun, self._resting, self._at = True, False, 0
        self._since = time.monotonic_ns() - start
        self._run.start()

    def rest(self, now: int, *, rewind: bool) -> None:
        """Nobody watches: a file stops there, or where it began with `rewind`."""
        if self.live or not self._running:
            return
        self._at = 0 if rewind else round(self.position(now) * SECOND)
        self._resting = True
        self._run.stop()

    def close(self) -> None:
        """End what runs, and wait until it has."""
        self._run.stop()
        self._run.join()

    @property
    def _running(self) -> bool:
        return self._begun and not self._resting and not self.programme.ended

    def _open(self, start: int, origin: int | None) -> _Run:
        config = replace(self._config, start=start)
        sources = open_sources(config, self._log, self._stop)
        try:
            made = plan.make(config, sources, self._log, described=True)
        except BaseException:
            sources.close()
            raise
        return _Run.of(made, self._wake, origin)


@dataclass(frozen=True, slots=True)
class _Run:
    """Feeds that run once."""

    plan: Plan
    outbox: Outbox
    programme: Programme

    @classmethod
    def of(cls, made: Plan, wake: Callable[[], None], origin: int | None) -> _Run:
        outbox = Outbox(len(made), wake)
        feeds = [feed for feed, _ in made]
        return cls(made, outbox, Programme(outbox, feeds, [form.clock_rate for _, form in made], origin))

    def start(self) -> None:
        for index, (feed, _) in enumerate(self.plan):
            feed.start(self.outbox, index)

    def stop(self) -> None:
        for feed, _ in self.plan:
            feed.stop()

    def join(self) -> None:
        for feed, _ in self.plan:
            feed.join(_JOIN_S)
