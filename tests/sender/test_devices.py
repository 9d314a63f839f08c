"""Cameras as Linux lists them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sender import devices


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="V4L2 is Linux's")
def test_video4linux_devices(tmp_path: Path) -> None:
    for number, name in ((10, "Capture card"), (2, "Webcam: Webcam")):
        (tmp_path / "sys" / f"video{number}").mkdir(parents=True)
        (tmp_path / "sys" / f"video{number}" / "name").write_text(name + "\n")
    (tmp_path / "sys" / "video3").mkdir()  # unplugged while it was listed: no name any more
    found = devices._linux_cameras(tmp_path / "sys", tmp_path / "dev")
    assert [(camera.index, camera.name, camera.option, camera.default) for camera in found] == [
        (2, "Webcam: Webcam", "--video camera:2", True),
        (10, "Capture card", "--video camera:10", False),
    ]


def test_no_device_is_an_empty_list(tmp_path: Path) -> None:
    assert devices._linux_cameras(tmp_path, tmp_path) == []
