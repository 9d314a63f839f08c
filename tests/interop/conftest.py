"""One reference clip for all interop tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop import stage


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stage.clip(tmp_path_factory.mktemp("clip"))
