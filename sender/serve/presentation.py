"""What is served: one capture and one encoder for everybody.

What happens now (a camera, a microphone, a pipe) is captured from the start. A file waits for its first viewer, and
begins again for the first one after its end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from sender import companion, plan
from sender.config import SenderConfig
from sender.feed import Outbox
from sender.programme import Programme
from sender.sources import open_sources
from sender.transmit.stream import StreamConfig

_JOIN_S = 1.0

Log = Callable[[str], None]


class Presentation:
    """Its methods may block for as long as it takes to open a file."""

    def __init__(self, config: SenderConfig, wake: Callable[[], None], log: Log, stop: threading.Event) -> None:
        """`wake` rouses the network thread; `stop` ends waiting for a FIFO. Raises FatalError."""
        self._config, self._wake, self._log, self._stop = config, wake, log, stop
        self._plan = self._open()
        self._begun = False
        self._since = 0
        self.forms: Sequence[StreamConfig] = [form for _, form in self._plan]
        """what the streams are like, but for SSRC and paths."""
        self.live = not all(companion.is_file(each) for each in (config.video, config.audio) if each != "none")
        self.duration: float | None = None
        """s; None: as long as it goes."""
        self.programme = self._programme(None)

    def position(self, now: int) -> float:
        """s from its beginning, at monotonic ns."""
        return max(0, now - self._since) / 1e9 if self._begun and not self.programme.ended else 0.0

    @property
    def over(self) -> bool:
        """It has come to its end."""
        return self._begun and self.programme.ended

    def begin(self) -> bool:
        """Have it run; True where `programme` is a new one for that. Raises FatalError when it cannot be had again."""
        if self._begun and not self.programme.ended:
            return False
        again = self._begun
        if again:
            self.close()
            self._plan = self._open()
            self.programme = self._programme(self.programme.origin)
        self._begun, self._since = True, time.monotonic_ns()
        for index, (feed, _) in enumerate(self._plan):
            feed.start(self._outbox, index)
        return again

    def stop(self) -> None:
        """End what runs; safe from any thread."""
        for feed, _ in self._plan:
            feed.stop()

    def close(self) -> None:
        """`stop`, and wait until it has."""
        self.stop()
        for feed, _ in self._plan:
            feed.join(_JOIN_S)

    def _open(self) -> plan.Plan:
        sources = open_sources(self._config, self._log, self._stop)
        try:
            return plan.make(self._config, sources, self._log, described=True)
        except BaseException:
            sources.close()
            raise

    def _programme(self, origin: int | None) -> Programme:
        self._outbox = Outbox(len(self._plan), self._wake)
        feeds = [feed for feed, _ in self._plan]
        return Programme(self._outbox, feeds, [form.clock_rate for _, form in self._plan], origin)
