"""A minute of sound and pictures whose networks are 80 ms apart: |sound − picture| at the 95th percentile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support import lipsync
from tests.support.live import show

pytestmark = [pytest.mark.bench, pytest.mark.timeout(180)]

SECONDS = 60.0
SETTLE = 1.0
"""s at the beginning that are not judged: before the first sender reports have crossed, nothing is known."""
HIGH = 20.0
"""ms."""


@pytest.mark.parametrize(("video_delay", "audio_delay"), [(90, 10), (10, 90)], ids=["late-video", "late-audio"])
def test_lipsync(tmp_path: Path, video_delay: int, audio_delay: int) -> None:
    skew = lipsync.play(tmp_path, SECONDS, video_delay=video_delay, audio_delay=audio_delay, settle=SETTLE)
    sizes = np.abs(skew.measured)
    print(f"\npictures {video_delay} ms, sound {audio_delay} ms:")
    show("|sound - picture|", sizes)
    print(f"{'':28} sound after picture by {np.median(skew.measured):.1f} ms (median); report: {skew.reported}")
    assert np.percentile(sizes, 95) <= HIGH
    assert skew.reported is not None
    assert skew.reported["p95"] <= HIGH
