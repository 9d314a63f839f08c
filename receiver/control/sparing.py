"""Lines about what strangers do: they may not fill a log, however often they try."""

from __future__ import annotations

import time
from collections.abc import Callable

_AT_ONCE = 20
_EACH = 1.0
"""s after which one more may be said."""


class Sparing:
    """A log that takes twenty lines at once and one a second from then on; how many it left out, it says."""

    def __init__(self, log: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._log, self._clock = log, clock
        self._left, self._at = float(_AT_ONCE), clock()
        self._silenced = 0

    def __call__(self, line: str) -> None:
        now = self._clock()
        self._left, self._at = min(_AT_ONCE, self._left + (now - self._at) / _EACH), now
        if self._left < 1:
            self._silenced += 1
            return
        self._left -= 1
        if self._silenced:
            line, self._silenced = f"{line} (and {self._silenced} lines more)", 0
        self._log(line)
