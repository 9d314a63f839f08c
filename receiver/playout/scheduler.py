"""Which picture is shown now: the newest that is due. Freezes by the rule of webrtc-stats."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from threading import Lock

from receiver.media import Image, VideoPlayoutStatistics

_LONGEST_QUEUE = 64
"""pictures that wait for their moment; 2 s of 30 a second."""
_FREEZE_MARGIN = 150_000_000
_INTERVALS = 30
"""rendered frames over which a usual interval is averaged."""


@dataclass(slots=True)
class FreezeDetector:
    """A gap of at least max(3·avg, avg + 150 ms), avg over the last 30 gaps (webrtc-stats freezeCount)."""

    count: int = 0
    duration: int = 0
    """ns of all gaps that were freezes."""
    resting: bool = False
    """what comes next, or does not, was announced."""
    _last: int | None = None
    _gaps: deque[int] = field(default_factory=lambda: deque(maxlen=_INTERVALS))

    def rendered(self, now: int) -> None:
        gap = self.gap(now)
        if gap is None:
            self._last = now
            return
        if self._frozen(gap):
            self.count += 1
            self.duration += gap
        self._gaps.append(gap)
        self._last = now

    def restart(self) -> None:
        """What comes next follows a pause that was wanted."""
        self._last, self.resting = None, False

    def gap(self, now: int) -> int | None:
        """ns since the last picture."""
        return None if self._last is None else now - self._last

    def ongoing(self, now: int) -> int:
        """ns of a freeze that has not ended yet, else 0."""
        gap = None if self.resting else self.gap(now)
        return gap if gap is not None and self._frozen(gap) else 0

    def _frozen(self, gap: int) -> bool:
        if not self._gaps:
            return False
        average = sum(self._gaps) / len(self._gaps)
        return gap >= max(3 * average, average + _FREEZE_MARGIN)


class VideoScheduler:
    """Holds decoded pictures until they are due. `submit` and `due` may come from two threads.

    Pictures come in the order they are to be shown; their playout times may move a little against that order.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: deque[tuple[Image, bool]] = deque()
        """and whether its moment had passed when it came."""
        self._asked = -(1 << 63)
        """when `due` was last called."""
        self._freezes = FreezeDetector()
        self._statistics = VideoPlayoutStatistics()

    def submit(self, image: Image) -> None:
        """Past 64 waiting pictures the oldest is dropped (display)."""
        with self._lock:
            if len(self._waiting) == _LONGEST_QUEUE:
                self._drop()
            self._waiting.append((image, image.playout_time <= self._asked))

    def due(self, now: int) -> Image | None:
        """The newest picture whose moment has come, if there is one that was not shown yet. Older ones are dropped:
        those that came after their moment as late, the others because the display did not take them."""
        with self._lock:
            image = self._take(now)
            if image is not None:
                self._freezes.rendered(now)
                self._count(frames_rendered=1)
            return image

    def first_due(self, now: int) -> Image | None:
        """The oldest picture, once its moment or that of one behind it has come: for files, which leave none out."""
        with self._lock:
            self._asked = now
            if all(image.playout_time > now for image, _ in self._waiting):
                return None
            self._freezes.rendered(now)
            self._count(frames_rendered=1)
            return self._waiting.popleft()[0]

    def skip(self, now: int) -> None:
        """While paused: what is due goes by unseen, and is no freeze."""
        with self._lock:
            if self._take(now) is not None:
                self._count(dropped_display=1)
            self._freezes.restart()

    def next_time(self) -> int | None:
        """When `due` will have a picture."""
        with self._lock:
            return min((image.playout_time for image, _ in self._waiting), default=None)

    def rest(self) -> None:
        """The sender has said goodbye: the gap that follows is no freeze."""
        with self._lock:
            self._freezes.resting = True

    def begin(self) -> None:
        """A stream begins: the gap before it is no freeze."""
        with self._lock:
            self._freezes.restart()

    def statistics(self, now: int | None = None) -> VideoPlayoutStatistics:
        """The display's share: frames_rendered, dropped_late, dropped_display and freezes (with `now`, also one that
        has not ended yet)."""
        with self._lock:
            ongoing = 0 if now is None else self._freezes.ongoing(now)
            return replace(
                self._statistics,
                freeze_count=self._freezes.count + bool(ongoing),
                total_freezes_duration_s=(self._freezes.duration + ongoing) / 1e9,
            )

    def _take(self, now: int) -> Image | None:
        self._asked = now
        passed = [number for number, (image, _) in enumerate(self._waiting) if image.playout_time <= now]
        if not passed:
            return None
        for _ in range(passed[-1]):
            self._drop()
        return self._waiting.popleft()[0]

    def _drop(self) -> None:
        _, late = self._waiting.popleft()
        self._count(**{"dropped_late" if late else "dropped_display": 1})

    def _count(self, **increments: int) -> None:
        self._statistics = replace(
            self._statistics, **{name: getattr(self._statistics, name) + more for name, more in increments.items()}
        )


def combined(decoded: VideoPlayoutStatistics, shown: VideoPlayoutStatistics) -> VideoPlayoutStatistics:
    """The decoder's share and the display's share as one."""
    return replace(
        decoded,
        frames_rendered=shown.frames_rendered,
        dropped_late=shown.dropped_late,
        dropped_display=shown.dropped_display,
        freeze_count=shown.freeze_count,
        total_freezes_duration_s=shown.total_freezes_duration_s,
    )
