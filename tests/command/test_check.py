"""`--check` and `--list-devices` as a person and as a program read them."""

from __future__ import annotations

import json
import socket

from protocol.command import check, devices
from protocol.command.check import Row
from protocol.command.devices import Device

ROWS = [Row("window", True, ":0"), Row("speaker", False, "none found", "connect one")]


def test_advice_stands_under_what_is_missing() -> None:
    assert check.as_text(ROWS).splitlines() == [
        "ok       window   :0",
        "missing  speaker  none found",
        "                  → connect one",
    ]
    assert json.loads(check.as_json(ROWS))[1]["advice"] == "connect one"


def test_only_what_is_needed_makes_it_fail() -> None:
    assert check.exit_code(ROWS) == 0
    assert check.exit_code([*ROWS, Row("h264 decoder", False, "", needed=True)]) == 1


def test_a_port_in_use_is_found() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("", 0))
        port = other.getsockname()[1]
        assert not check.port_row(port).ok
    assert check.port_row(port).ok


def test_every_kind_of_device_is_named_also_when_there_is_none() -> None:
    camera = Device("camera", 0, "Lens", "--video camera:0", "/dev/video0", True)
    assert devices.as_text([camera], ("camera", "microphone")).splitlines() == [
        "cameras:",
        "  --video camera:0         Lens (default)  /dev/video0",
        "microphones: none found",
    ]
    assert json.loads(devices.as_json([camera]))[0]["option"] == "--video camera:0"
