"""Sound from the capture callback to the playout callback, over loopback, on PulseAudio's null sinks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support import room
from tests.support.live import show

pytestmark = [pytest.mark.bench]

SECONDS = 30.0
MEDIAN = 60.0
"""ms."""


def test_audio_latency(tmp_path: Path) -> None:
    passage = room.pass_through(tmp_path, SECONDS)
    print(f"\n{SECONDS:.0f} s of sound from microphone to speaker:")
    show("callback to callback", passage.latencies)
    print(
        f"{'':28} correlation {np.median(passage.correlations):.4f}, {passage.concealed:.2%} concealed, "
        f"{passage.underruns} underruns"
    )
    assert np.median(passage.latencies) <= MEDIAN
