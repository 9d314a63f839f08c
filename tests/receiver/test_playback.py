"""What players count, as it is taken apart when another stream takes their place."""

from __future__ import annotations

from dataclasses import fields

import pytest

from receiver.media import AudioPlayoutStatistics, VideoPlayoutStatistics
from receiver.playback import NOT_COUNTED


@pytest.mark.parametrize("kind", [VideoPlayoutStatistics, AudioPlayoutStatistics])
def test_only_what_can_be_subtracted_is_counted(kind: type[VideoPlayoutStatistics | AudioPlayoutStatistics]) -> None:
    counted = {field.name: field.default for field in fields(kind) if field.name not in NOT_COUNTED}
    assert {name for name, value in counted.items() if not isinstance(value, int | float)} == set()
