"""A microphone and a speaker through PortAudio, on PulseAudio's null sinks: what goes in comes out, and how soon."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.support import room

SECONDS = 6.0


def test_sound_goes_in_at_the_microphone_and_comes_out_at_the_speaker(tmp_path: Path) -> None:
    passage = room.pass_through(tmp_path, SECONDS)
    print(
        f"\ncorrelation {np.median(passage.correlations):.4f}, latency {np.median(passage.latencies):.1f} ms, "
        f"{passage.concealed:.1%} concealed, {passage.underruns} underruns"
    )
    assert len(passage.correlations) > 0.8 * SECONDS / room.STRETCH
    assert np.median(passage.correlations) > 0.98
    assert np.percentile(passage.correlations, 10) > 0.9
    assert len(passage.latencies) > 0.8 * SECONDS / room.STRETCH
