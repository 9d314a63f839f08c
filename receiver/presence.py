"""Which streams are silent, and when nothing more is to be expected of any: the sender of each has said goodbye, or is
gone without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from receiver.events import AllEnded, StreamResumed, StreamSilent
from receiver.media import Format, StreamKey

SILENCE = 1_000_000_000
"""ns without a packet after which a stream is silent."""
STRAY = 500_000_000
"""ns after a goodbye in which packets on their way still come."""
VANISHED = 25_000_000_000
"""ns of silence after which a sender has left without a goodbye: five of RTCP's least intervals (RFC 3550 §6.3.5)."""


class Heard(Protocol):
    """What is asked of a stream."""

    @property
    def key(self) -> StreamKey: ...
    @property
    def format(self) -> Format: ...
    @property
    def last_arrival(self) -> int: ...


class Presence:
    """Told of what comes and goes; `alive` are the streams that have not ended."""

    def __init__(self) -> None:
        self._silent: dict[StreamKey, int] = {}
        """since when."""
        self._expecting = False
        """something has come, and AllEnded was not said since."""
        self._goodbye: int | None = None
        """when the last one came, of any stream."""

    def began(self) -> None:
        """A stream starts."""
        self._expecting = True

    def heard(self, stream: Heard, now: int) -> list[StreamResumed]:
        """A packet of it."""
        since = self._silent.pop(stream.key, None)
        if since is None:
            return []
        self._expecting = True
        return [StreamResumed(stream.key, stream.format, now, stream.last_arrival - since)]

    def goodbye(self, now: int) -> None:
        """A sender says that one of its streams ends."""
        self._goodbye = now

    def ended(self, key: StreamKey) -> None:
        """It is not alive any more."""
        self._silent.pop(key, None)

    def fell_silent(self, alive: Sequence[Heard], now: int) -> list[StreamSilent]:
        """Those of which nothing has come for a second, once."""
        fresh = [s for s in alive if now - s.last_arrival >= SILENCE and s.key not in self._silent]
        self._silent |= {stream.key: stream.last_arrival for stream in fresh}
        return [StreamSilent(stream.key, stream.format, now) for stream in fresh]

    def all_ended(self, alive: Sequence[Heard], now: int) -> list[AllEnded]:
        """Said once, when no stream is alive but such as are gone."""
        if not self._expecting or not all(self._gone(stream.last_arrival, now) for stream in alive):
            return []
        self._expecting = False
        return [AllEnded(now)]

    def _gone(self, last_arrival: int, now: int) -> bool:
        """Silent since the goodbye of any stream: its own was lost. Silence by itself must be long."""
        left = self._goodbye is not None and last_arrival <= self._goodbye + STRAY
        return now - last_arrival >= (SILENCE if left else VANISHED)
