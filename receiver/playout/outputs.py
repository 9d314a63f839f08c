"""What an output looks like to the pipeline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from receiver.media import AudioPlayoutStatistics, Image

Log = Callable[[str], None]
"""takes one line for the user."""
Listener = Callable[[NDArray[np.float32], int], None]
"""takes a block of sound, shape (frames, channels), as it is handed to the device, and that moment (monotonic ns); must
not block."""


class VideoOutput(Protocol):
    """Shows each picture when it is handed it. A failure (disk full, reader gone) is one line to the log, once; after
    it `failed` is true and pictures are ignored."""

    @property
    def failed(self) -> bool: ...

    def show(self, image: Image) -> None: ...

    def close(self) -> None: ...


class AudioOutput(Protocol):
    """Pulls an AudioTimeline until it is closed."""

    def statistics(self) -> AudioPlayoutStatistics: ...

    def close(self) -> None: ...
