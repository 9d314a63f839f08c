"""Sound and pictures whose networks are 80 ms apart are played together, judged from what our receiver wrote."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support import lipsync

SECONDS, SETTLE = 20.0, 8.0


@pytest.mark.parametrize(("video_delay", "audio_delay"), [(90, 10), (10, 90)], ids=["late-video", "late-audio"])
def test_both_are_played_together(tmp_path: Path, video_delay: int, audio_delay: int) -> None:
    skew = lipsync.play(tmp_path, SECONDS, video_delay=video_delay, audio_delay=audio_delay, settle=SETTLE)
    print(f"\nsound after picture: {np.percentile(skew.measured, (5, 50, 95)).round(1)} ms; reported {skew.reported}")
    assert len(skew.measured) > 2 * (SECONDS - SETTLE)
    assert np.percentile(np.abs(skew.measured), 95) <= 45  # beyond that people notice (ITU-R BT.1359)
    assert skew.reported is not None
    assert skew.reported["p95"] <= 45
