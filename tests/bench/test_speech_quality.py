"""Speech at 10 % loss: no worse than GStreamer without repair, nearly clean with it (`make bench`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.speech_quality import CASES, Case, measure
from tests.support import peers
from tests.support.media import SPEECH

pytestmark = [pytest.mark.bench, pytest.mark.timeout(400)]
SEEDS = range(1, 5)
SAME = 0.02
"""of a score: with in-band FEC both let libopus do all of it, and differ by the fraction of a sample at which they are
aligned."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_speech_quality(case: Case, tmp_path: Path) -> None:
    peers.need("gst-launch-1.0")
    pytest.importorskip("pesq", reason="PESQ is measured by the package pesq: pip install pesq")
    if not SPEECH.exists():
        pytest.skip("no recording of speech")
    found = measure(case, SEEDS, tmp_path)
    if found.theirs is not None:
        assert found.as_late >= found.theirs - SAME
    if case.repair != "none":
        assert found.ours >= found.clean - 0.1
