"""Key-frame requests of all receivers, merged: one key frame answers everyone who asked before it."""

from __future__ import annotations

INTERVAL = 250_000_000
"""ns; key frames on request are never closer. They are large: a storm of requests must not fill the path with them."""


class KeyFrameGate:
    """Decides when to ask the encoder. A request within the interval waits for its end, it is not forgotten."""

    def __init__(self) -> None:
        self._asked: int | None = None
        self._coming = False
        self._waiting = False

    def request(self) -> None:
        """Somebody cannot decode."""
        self._waiting = True

    def key_frame(self) -> None:
        """One leaves the encoder: if it was asked for, it answers everybody who has asked by now.

        Others may be mere recovery points of an intra refresh, and answer nobody.
        """
        if self._coming:
            self._coming = self._waiting = False

    def next_time(self) -> int | None:
        """When the encoder may be asked, monotonic ns; None when nobody waits."""
        if not self._waiting:
            return None
        return 0 if self._asked is None else self._asked + INTERVAL

    def take(self, now: int) -> bool:
        """True when the encoder is to be asked now."""
        due = self.next_time()
        if due is None or now < due:
            return False
        self._asked = now
        self._coming, self._waiting = True, False
        return True
