"""One reference clip for all of these tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import media


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return media.make_clip(tmp_path_factory.mktemp("clip") / "clip.mkv", 3.0)
