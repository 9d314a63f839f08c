"""Time-scale modification: sound is played up to 25 % faster or slower, at its own pitch, until it is in its place.

A voice repeats itself. Where it does, a piece of 2.5 to 15 ms is left out or played once more, and the two ends are
cross-faded where they fit best (WSOLA; Verhelst and Roelands 1993). How much may be moved is owed: what the wanted
speed gains each moment is added, and each piece pays some of it. The more is owed, the worse a fit is accepted. In
silence nobody hears a seam, so any piece will do, as often as there is need.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from receiver.decode.waveform import Sound, best_match, cross_fade
from receiver.playout.playhead import Playhead

MAX_CHANGE = 0.25
"""of the speed."""
_SLOPE = 0.080
"""s in which the error would be gone at the speed that is wanted for it."""
_BEGIN = 0.008
"""s of error from which it is worth it; below, a resampler does the rest."""
_SMOOTHING = 0.1
"""s; sound cards ask for sound in bursts."""
_SHORTEST, _LONGEST = 0.0025, 0.015
"""s of a piece: pitches from 66 Hz on."""
_BEYOND = 0.00125
"""s by which a piece may be longer than the error."""
_OVERLAP, _SHORTEST_OVERLAP = 0.008, 0.0025
_BEFORE = 0.004
"""s before the seam that must fit as well."""
_REMEMBERED = 0.025
"""s before the seam that become what was really played, for the next search and for the resampler."""
_GOOD_FIT = 0.9
_MOST_OWED = 0.025
"""s; when so much is owed every fit will do."""
_SILENCE = 1e-3
"""root mean square: -60 dBFS."""


def wanted_speed(error: float) -> float:
    """At which sound that is `error` s behind (negative: ahead) should be played: 0.75 to 1.25."""
    return 1.0 + min(max(error / _SLOPE, -MAX_CHANGE), MAX_CHANGE)


@dataclass(frozen=True, slots=True)
class Seam:
    """Where sound that lies at another place goes on."""

    distance: int
    """samples left out, or, negative, played once more."""
    overlap: int
    """samples of cross-fade."""
    correlation: float
    silent: bool


def find_seam(head: Playhead, direction: int, longest: int, reserve: int, *, heard: bool) -> Seam | None:
    """The piece of at most `longest` samples whose ends fit best: to leave out (`direction` 1) or to play again (-1).
    None without enough sound (at least `reserve` samples must stay ahead of the head), or where a seam would be in
    sound that is `heard`, when it must not be."""
    rate, here = head.source_rate, head.position
    shortest, before = round(_SHORTEST * rate), round(_BEFORE * rate)
    overlap = min(round(_OVERLAP * rate), head.ahead - (shortest if direction > 0 else 0))
    if direction > 0:
        longest = min(longest, head.ahead - max(reserve, overlap))
    if longest < shortest or overlap < round(_SHORTEST_OVERLAP * rate):
        return None
    template = head.ring.view(here - before, here + overlap)
    nearest, farthest = sorted((direction * shortest, direction * longest))
    region = head.ring.view(here - before + nearest, here + overlap + farthest)
    if _level(template) < _SILENCE and _level(region) < _SILENCE:
        return Seam(direction * longest, overlap, 0.0, True)
    if not heard:
        return None
    index, correlation = best_match(template, region, rate)
    return Seam(nearest + index, overlap, correlation, False)


def sew(head: Playhead, seam: Seam) -> None:
    """Goes on beyond the seam; what was played stays before the head."""
    here, there = head.position, head.position + seam.distance
    kept = head.ring.view(here - round(_REMEMBERED * head.source_rate), here).copy()
    outgoing = head.ring.view(here, here + seam.overlap)
    incoming = head.ring.view(there, there + seam.overlap)
    joint = cross_fade(outgoing, incoming, seam.correlation)
    head.ring.view(there - len(kept), there)[:] = kept
    head.ring.view(there, there + seam.overlap)[:] = joint
    head.skip(seam.distance)


class Stretcher:
    """Brings a playhead to its place. Call `adjust` before every 10 ms or so that are played."""

    def __init__(self) -> None:
        self.active = False
        self.error = 0.0
        """s behind, smoothed over a tenth of a second."""
        self._owed = 0.0
        """s by which it should have been moved, and was not."""

    def settle(self) -> None:
        """The error was removed otherwise."""
        self.active, self.error, self._owed = False, 0.0, 0.0

    def adjust(self, head: Playhead, error: float, elapsed: float, reserve: int) -> int:
        """Moves the head if it should be moved now and nobody will hear it. Returns the samples left out (negative:
        played once more).

        `error`: s by which the head is behind. `elapsed`: s since the last call. `reserve`: samples that must stay
        ahead of the head.
        """
        self.error += (error - self.error) * min(1.0, elapsed / _SMOOTHING)
        self._decide(error)
        if not self.active or abs(self.error) < _SHORTEST:
            return 0
        self._owed = min(_MOST_OWED, self._owed + abs(wanted_speed(self.error) - 1) * elapsed)
        longest = round(min(_LONGEST, abs(self.error) + _BEYOND) * head.source_rate)
        heard = self._owed >= _SHORTEST
        seam = find_seam(head, 1 if self.error > 0 else -1, longest, reserve, heard=heard)
        if seam is None or not self._fits(seam):
            return 0
        sew(head, seam)
        if not seam.silent:
            self._owed -= abs(seam.distance) / head.source_rate
        self.error -= seam.distance / head.source_rate
        return seam.distance

    def _decide(self, error: float) -> None:
        """Begins late, and ends where less than one piece is left, also of what smoothing still hides."""
        self.active = max(abs(self.error), abs(error)) > _SHORTEST if self.active else abs(self.error) > _BEGIN
        if not self.active:
            self._owed = 0.0

    def _fits(self, seam: Seam) -> bool:
        patience = (_MOST_OWED - self._owed) / (_MOST_OWED - _SHORTEST)
        return seam.silent or seam.correlation >= _GOOD_FIT * patience


def _level(sound: Sound) -> float:
    return float(np.sqrt(np.mean(np.square(sound)))) if sound.size else 0.0
