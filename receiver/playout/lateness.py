"""Sound that is pushed too late for the pull that needed it is played late; what turns out not to be needed is given
back."""

from __future__ import annotations

MAX_DELAY = 60_000_000
"""ns."""
_MARGIN = 3_000_000
"""ns a late sound is played later than it must."""
_FIRST_WINDOW, _LONGEST_WINDOW = 500_000_000, 4_000_000_000
"""ns of playing after which it is judged how much of the delay was needed: twice as many each time that more had to be
accepted. What holds up the beginning of a stream is soon over, what comes again and again is not."""


class AcceptedDelay:
    """By how much sound is played after its playout time."""

    def __init__(self) -> None:
        self.delay = 0
        """ns."""
        self._headroom = MAX_DELAY
        self._elapsed = 0
        self._window = _FIRST_WINDOW // 2

    def allows(self, late: float) -> bool:
        """Whether sound that is `late` s behind even this delay may be played as late as that."""
        return self.delay + late * 1e9 <= MAX_DELAY

    def accept(self, late: float) -> int:
        """Sound is played `late` s later from now on, as far as is allowed; returns the ns beyond that by which it is
        better to wait, so that a little more does not matter."""
        self.delay = min(MAX_DELAY, self.delay + round(late * 1e9))
        margin = min(_MARGIN, MAX_DELAY - self.delay)
        self.delay += margin
        self._window = min(_LONGEST_WINDOW, 2 * self._window)
        return margin

    def restart(self) -> None:
        """What was spare before does not count."""
        self._headroom, self._elapsed = MAX_DELAY, 0

    def watch(self, spare: int, elapsed: int) -> None:
        """`spare` ns of sound are ahead after `elapsed` ns were played. After each window, half of the delay that was
        not needed is given back."""
        self._headroom = min(self._headroom, spare)
        self._elapsed += elapsed
        if self._elapsed >= self._window:
            self.delay -= min(self.delay, max(0, self._headroom - _MARGIN) // 2)
            self.restart()
