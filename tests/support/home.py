"""Certificates and known hosts are the test's own: nothing is trusted because of another one, or of who runs them."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

_numbers = itertools.count()


@pytest.fixture(scope="session")
def _folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("configuration")


@pytest.fixture(autouse=True)
def a_folder_of_its_own(_folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the user's configuration would be, made when it is needed."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(_folders / str(next(_numbers))))
