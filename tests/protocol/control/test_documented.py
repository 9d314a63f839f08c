"""docs/security.md names limits: they are the code's."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "security.md"
ROWS = re.findall(r"^\| .* \| (\d+) \| `([\w.]+)` \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def test_there_are_some() -> None:
    assert len(ROWS) > 20


@pytest.mark.parametrize(("number", "name"), ROWS)
def test_limits_are_those_of_the_code(number: str, name: str) -> None:
    module, _, attribute = name.rpartition(".")
    holder: Any
    try:
        holder = importlib.import_module(module)
    except ModuleNotFoundError:
        package, _, type_name = module.rpartition(".")
        holder = getattr(importlib.import_module(package), type_name)()
    assert getattr(holder, attribute) == int(number)
