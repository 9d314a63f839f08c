"""The final range as a parameter, as docs/wire.md writes it."""

from __future__ import annotations

import pytest

from protocol.errors import Malformed
from protocol.rtsp.final_range import FinalRange, parse, serialize

RANGES = [FinalRange(305_419_896, 1000, 1999, 1000), FinalRange(2_271_560_481, 0, 49, 50)]


def test_every_source_stands_in_one_value() -> None:
    text = "305419896 1000 1999 1000, 2271560481 0 49 50"
    assert serialize(RANGES) == text
    assert parse(text) == RANGES
    assert parse("305419896  1000 1999  1000,2271560481 0 49 50 ") == RANGES


def test_nothing_numbered() -> None:
    assert parse("7 1000 999 0") == [FinalRange(7, 1000, 999, 0)]


@pytest.mark.parametrize(
    "text",
    ["", "1 2 3", "1 2 3 4 5", "1 2 3 3", "-1 2 3 2", "4294967296 1 2 2", "1 9 8 1", "x 1 2 2",
     "1 1 99999999999999999999 1",
     ", ".join(["1 1 2 2"] * 65)],
)  # fmt: skip
def test_what_cannot_be(text: str) -> None:
    with pytest.raises(Malformed):
        parse(text)
