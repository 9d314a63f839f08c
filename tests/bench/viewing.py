"""What a viewer had of a run: numbered pictures, judged tile by tile, against when they were written.

A picture is sound when its number can be read and no tile of 64x40 is further than 25 dB from what was written: one
row of stale blocks is damage, though the picture as a whole would pass. A freeze is more than 150 ms between two sound
new pictures; the wait for the first is none, but a stream that stops before its end is frozen until then, and one
without any all the time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.support import media
from tests.support.clock import MILLISECOND
from tests.support.live import HEIGHT, WIDTH, Reader, scene

SOUND = 25.0
"""dB that every tile of a sound picture has at least."""
FREEZE = 150 * MILLISECOND
_TILE_HEIGHT, _TILE_WIDTH = 40, 64


@dataclass(frozen=True, slots=True)
class Sighting:
    """One picture that came out."""

    time: int
    """monotonic ns at which its last byte was there."""
    number: int | None
    """None: it could not be read."""
    quality: float
    """dB of its worst tile; 0 without a number."""


class Viewer(Reader):
    """Reads what a program shows and judges each picture as it comes."""

    def __init__(self, descriptor: int, *, raw: bool = False) -> None:
        self.sightings: list[Sighting] = []
        self._scene = scene()
        super().__init__(descriptor, raw=raw)

    def note(self, luma: NDArray[np.uint8], now: int) -> None:
        number = media.read_number(luma) if luma.shape == (HEIGHT, WIDTH) else None
        quality = 0.0 if number is None else worst_tile(luma, numbered(self._scene, number))
        self.sightings.append(Sighting(now, number, quality))


def numbered(pictures: list[NDArray[np.uint8]], number: int) -> NDArray[np.uint8]:
    """The luma of picture `number` of the scene as it is written. shape (HEIGHT, WIDTH)."""
    luma = pictures[number % len(pictures)][:HEIGHT].copy()
    media.write_number(luma, number)
    return luma


def worst_tile(luma: NDArray[np.uint8], wanted: NDArray[np.uint8]) -> float:
    """PSNR in dB of the tile that differs most; 99 where none does."""
    error = (luma.astype(np.int32) - wanted) ** 2
    tiles = error.reshape(HEIGHT // _TILE_HEIGHT, _TILE_HEIGHT, WIDTH // _TILE_WIDTH, _TILE_WIDTH)
    worst = float(tiles.mean(axis=(1, 3)).max())
    return 99.0 if worst == 0 else float(10 * np.log10(255**2 / worst))


@dataclass(frozen=True, slots=True)
class Viewing:
    """The pictures of a span of numbers as they were seen."""

    pictures: int
    """that were to be seen."""
    moments: Mapping[int, int]
    """number → ns at which it was first seen sound."""
    delays: NDArray[np.float64]
    """ms from writing to showing of each of `moments`, in their order."""
    freezes: tuple[int, ...]
    """ns of each."""

    @property
    def undamaged(self) -> float:
        """Share that was seen sound, however late."""
        return len(self.moments) / self.pictures

    def good(self, budget: float) -> float:
        """Share that was seen sound within `budget` ms."""
        return int(np.count_nonzero(self.delays <= budget)) / self.pictures


def judge(written: Mapping[int, int], sightings: Iterable[Sighting], span: range) -> Viewing:
    """`written`: number → ns, of all in `span` at least."""
    moments: dict[int, int] = {}
    for seen in sightings:
        if seen.number is not None and seen.number in span and seen.quality >= SOUND:
            moments.setdefault(seen.number, seen.time)
    delays = np.array([(time - written[number]) / MILLISECOND for number, time in moments.items()])
    return Viewing(len(span), moments, delays, _freezes(moments, delays, written[span[0]], written[span[-1]]))


def _freezes(moments: Mapping[int, int], delays: NDArray[np.float64], first: int, last: int) -> tuple[int, ...]:
    """`first`, `last`: when the first and the last picture were written."""
    if not moments:
        return (last - first,)
    shown = sorted(moments.values())
    end = last + int(np.median(delays) * MILLISECOND)
    gaps = np.diff([*shown, max(shown[-1], end)])
    return tuple(int(gap) for gap in gaps if gap > FREEZE)


@dataclass(frozen=True, slots=True)
class Return:
    """How a stream came back after an interruption. ms from the moment the path returned."""

    first: float | None
    """the first sound picture that was written after the interruption began; None: none came."""
    settled: float | None
    """until delays stay within 10 ms of what they were before at most; 0: they never left it."""


def back_after(written: Mapping[int, int], viewing: Viewing, begin: int, end: int) -> Return:
    """The path was interrupted from `begin` to `end` (ns)."""
    pairs = [(written[number], seen) for number, seen in viewing.moments.items()]
    before = [seen - at for at, seen in pairs if at < begin and seen < begin]
    after = sorted((seen, seen - at) for at, seen in pairs if at >= begin and seen >= end)
    if not after or not before:
        return Return(None, None)
    usual = float(np.percentile(before, 95)) + 10 * MILLISECOND
    late = [seen for seen, delay in after if delay > usual and seen < end + 10_000 * MILLISECOND]
    return Return((after[0][0] - end) / MILLISECOND, (max(late) - end) / MILLISECOND if late else 0.0)
