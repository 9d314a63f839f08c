"""Quantities as people write them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from protocol.command import units
from protocol.errors import UsageError


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (units.bit_rate, "800k", 800_000),
        (units.bit_rate, "2.5M", 2_500_000),
        (units.bit_rate, "64000", 64_000),
        (units.duration, "60ms", 60_000_000),
        (units.duration, "1.5s", 1_500_000_000),
        (units.duration, "10m", 600_000_000_000),
        (units.duration, "0ms", 0),
        (units.size, "1280x720", (1280, 720)),
        (units.size, "640X360", (640, 360)),
        (units.frame_rate, "30", 30.0),
        (units.frame_rate, "30000/1001", 30000 / 1001),
        (units.integer(0, 255), "0x1f", 31),
    ],
)
def test_reads(read: Callable[[str], object], text: str, value: object) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (units.bit_rate, "fast"),
        (units.bit_rate, "12"),
        (units.bit_rate, "-2M"),
        (units.duration, "60"),
        (units.duration, "ms"),
        (units.duration, "-1s"),
        (units.positive_duration, "0s"),
        (units.size, "1280"),
        (units.size, "641x360"),
        (units.size, "0x0"),
        (units.frame_rate, "0"),
        (units.frame_rate, "30/0"),
        (units.dscp, "AF44"),
        (units.dscp, "64"),
        (units.integer(0, 255), "256"),
        (units.integer(0, 255), "ten"),
    ],
)
def test_refuses_in_one_line(read: Callable[[str], object], text: str) -> None:
    with pytest.raises(UsageError) as refusal:
        read(text)
    assert repr(text) in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "bits"),
    # RFC 3246 §2.7, RFC 2597 §6, RFC 2474 §4.2.2.2, RFC 8622 §12
    [("EF", 0b101110), ("af41", 0b100010), ("AF13", 0b001110), ("CS5", 0b101000), ("CS0", 0), ("LE", 1), ("46", 46)],
)
def test_dscp_of_the_rfcs(name: str, bits: int) -> None:
    assert units.dscp(name) == bits


def test_a_choice_suggests_what_is_close() -> None:
    read = units.choice(("h264", "vp8", "jpeg"))
    assert read("H264") == "h264"
    with pytest.raises(UsageError, match=r"did you mean h264\?"):
        read("h265")
    with pytest.raises(UsageError, match="choose from h264, vp8, jpeg"):
        read("theora")
