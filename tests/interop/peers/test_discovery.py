"""Avahi finds us, and we find what it publishes."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from tests.support import avahi, peers


def test_avahi_and_we_find_each_other(tmp_path: Path) -> None:
    peers.need("avahi-daemon", "avahi-browse", "avahi-publish-service", "dbus-daemon", "unshare", "ip")
    if os.geteuid() != 0:
        pytest.skip("only root can make a network namespace")
    command = ["unshare", "--net", "--mount", sys.executable, "-m", "tests.support.avahi", tmp_path]
    with peers.Process(command, tmp_path, "stage") as stage:
        assert stage.wait(30) == 0, stage.log
    result = json.loads(stage.output)
    (camera,) = [each for each in result["found"] if each["port"] == 554]
    assert (camera["name"], camera["url"]) == ("Camera", f"rtsp://{avahi.ADDRESS}:554/axis/media")
    assert {each["port"] for each in result["found"]} == {554, avahi.OURS.port}
    (seen,) = [line for line in result["seen"] if line[8] == str(avahi.OURS.port)]
    assert seen[3] == r"Front\032door"
    assert seen[7] == avahi.ADDRESS
    assert set(seen[9].split()) == {
        '"txtvers=1"', '"path=/live"', '"role=sends"', '"encryption=tls"', f'"fingerprint={avahi.OURS.fingerprint}"'
    }  # fmt: skip
    assert result["after"] == []
