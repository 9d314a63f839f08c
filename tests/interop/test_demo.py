"""The demo, shortened: what a person tries first must work, and its figures be true."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.support import peers


def test_the_demo_ends_well_and_its_ledger_agrees_with_the_network(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.support.demo", "--seconds", "4", "--out", tmp_path, "--no-devices"]
    with peers.Process(command, tmp_path, "demo") as demo:
        assert demo.wait(30) == 0, demo.output + demo.log
    assert "agrees to the packet" in demo.output
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["verdict"] in demo.output
    assert sum(stream["ledger"]["lost"] for stream in report["streams"]) > 0
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
