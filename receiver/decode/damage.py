"""Decode on or hold: which damaged pictures are worth showing, and how long it takes until there is a clean one.

Measured on a street scene (640x360, 30 pictures a second, 1 Mbit/s, slices of 1100 octets, H.264 with intra-refresh;
VP8 differs by less than 2 dB): mean PSNR of the pictures after a loss, decoded on, and of the last good one kept:

    ==============================  =====================  =====================
    lost                            decoded on             kept
    ==============================  =====================  =====================
    a third of a picture            38.8 dB, then 39       37.9 dB, then 31, 24
    half of a picture               36.1 dB, then 36       37.6 dB, then 27, 24
    four fifths of a picture        29.3 dB, then 33       33.9 dB, then 30, 23
    one picture                     38.5 dB, then 38       31.3 dB, then 24
    two pictures                    29.8 dB, then 30, 32   24.0 dB
    three pictures                  24.2 dB, 28 after 10   23.1 dB
    a second                        22.4 dB, 28 after 10   21.9 dB
    ==============================  =====================  =====================

So a picture of which more than 40 % are missing is not shown: the next, predicted from it, is better than what was
kept. After three pictures lost in a row both are poor, and a still picture is a calmer sight than one that crawls. Ten
pictures later decoding on is ahead by 6 dB, without any key frame: no hold lasts longer.
"""

from __future__ import annotations

from receiver.account.histogram import Histogram

MOST_MISSING = 0.4
LONGEST_GAP = 2
"""pictures."""
MOST_HELD = 10
"""pictures in a row."""


class Hold:
    """Whether what was decoded is shown, or the picture before it stays."""

    def __init__(self) -> None:
        self._after_gap = False
        self._held = 0

    def gap(self, pictures: int) -> None:
        """So many are missing as a whole."""
        self._after_gap |= pictures > LONGEST_GAP

    def clean(self) -> None:
        """A picture is as it was meant to be."""
        self._after_gap, self._held = False, 0

    def holds(self, missing: float) -> bool:
        """Whether a damaged picture, of which this share is missing, is not worth showing; it counts as decided."""
        if not self._after_gap and missing <= MOST_MISSING:
            self._held = 0
            return False
        if self._held < MOST_HELD:
            self._held += 1
            return True
        self._after_gap = False
        return False


class Recovery:
    """From the first picture that is missing or damaged to the next clean one, by their playout times."""

    def __init__(self) -> None:
        self._since: int | None = None
        self._times = Histogram()

    def damaged(self, playout_time: int) -> None:
        if self._since is None:
            self._since = playout_time

    def clean(self, playout_time: int) -> None:
        if self._since is not None:
            self._times.add_one(max(0, playout_time - self._since) // 1000)
            self._since = None

    def percentile_ms(self, share: float) -> float | None:
        """None: nothing was damaged that has become clean."""
        found = self._times.percentile(share)
        return None if found is None else found / 1000
