"""A dashboard on a port of its own, told a story."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from receiver.libraries import av
from receiver.media import Image
from receiver.report.document import document
from receiver.report.web.dashboard import Dashboard
from tests.receiver.report.story import story


def image() -> Image:
    """A picture that is half red, half blue."""
    pixels = np.zeros((720, 1280, 3), np.uint8)
    pixels[:, :640, 0] = pixels[:, 640:, 2] = 255
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")
    return Image(frame, timestamp=0, playout_time=0, arrival_time=0)


@pytest.fixture
def dashboard() -> Iterator[Dashboard]:
    shown = image()
    made = Dashboard(("127.0.0.1", 0), lambda snapshot: document(snapshot, {"latency": "auto"}), lambda: shown)
    for snapshot in story(40):
        made.publish(snapshot)
    yield made
    made.close()
