"""What a page open in a real browser costs the receiver."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from receiver.libraries import av
from receiver.media import Image
from receiver.report.document import MAX_INTERVALS, document
from receiver.report.snapshot import Event
from receiver.report.web.dashboard import Dashboard
from tests.receiver.report.story import full_report, story
from tests.support.browser import browser

pytestmark = [pytest.mark.bench, pytest.mark.timeout(120)]

SECONDS = 20
MOST = 0.03
"""of a core."""


def test_a_page_costs_little() -> None:
    """An hour into a run: a full history, a thousand intervals and events, and a new 720p picture each second."""
    intervals = full_report(MAX_INTERVALS + 1)["intervals"]
    events = tuple(Event(float(number), "key_frame_request", "asked for a key frame") for number in range(1000))
    moments = [replace(moment, events=events) for moment in story(900 + SECONDS)]
    pictures = [_picture(number) for number in range(SECONDS)]
    shown = 0

    def report(snapshot: object) -> dict[str, object]:
        return document(snapshot, {"latency": "auto"}, intervals=intervals)  # type: ignore[arg-type]

    with closing(Dashboard(("127.0.0.1", 0), report, lambda: pictures[shown])) as dashboard, browser() as page:
        for moment in moments[:900]:
            dashboard.publish(moment)
        page.open(dashboard.url)
        page.wait("!document.getElementById('picture-section').hidden")
        used, began = time.process_time(), time.monotonic()
        for shown, moment in enumerate(moments[900:]):
            dashboard.publish(moment)
            time.sleep(max(0.0, began + shown + 1 - time.monotonic()))
        cost = (time.process_time() - used) / (time.monotonic() - began)
        assert page.evaluate("document.getElementById('clock').textContent") == "15:20"
    print(f"\na page open, history of 15 min, 1000 intervals, 1000 events, 720p: {100 * cost:.2f} % of a core")
    assert cost <= MOST


def _picture(seed: int) -> Image:
    pixels = np.random.default_rng(seed).integers(0, 255, (90, 160, 3), np.uint8)
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(1280, 720, "yuv420p")
    return Image(frame, timestamp=0, playout_time=0, arrival_time=0)
