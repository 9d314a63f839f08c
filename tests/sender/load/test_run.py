"""Load between two real programs on loopback, in the report of both, and as their schema says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.support import peers

SCHEMA = json.loads((peers.ROOT / "docs" / "report.schema.json").read_text())


def run(tmp_path: Path, *options: str) -> tuple[int, dict[str, Any], dict[str, Any]]:
    """Exit code of the sender, its report, and the receiver's."""
    port = peers.free_ports(4)
    quiet = ("--audio", "none", "--video", "none", "--exit-on-end", "--json")
    with peers.Process(peers.receiver(f"127.0.0.1:{port}", *quiet), tmp_path, "receiver") as receiving:
        receiving.wait_for_port(port, 30)
        with peers.Process(peers.sender(f"127.0.0.1:{port}", *options, "--json"), tmp_path, "sender") as sending:
            code = sending.wait(40)
        assert receiving.wait(15) == 0, receiving.log
    sent: dict[str, Any] = sending.json()
    jsonschema.validate(sent, SCHEMA)
    return code, sent, receiving.json()


@pytest.mark.parametrize("pattern", ["cbr", "video", "voip"])
def test_every_packet_of_a_load_is_accounted_for(tmp_path: Path, pattern: str) -> None:
    code, sent, heard = run(tmp_path, "--load", "4M", "--pattern", pattern, "--duration", "1.5s")
    assert code == 0
    assert sent["load"]["sent_bps"] == pytest.approx(4_000_000, rel=0.5 if pattern == "video" else 0.1)
    jsonschema.validate(heard, SCHEMA)
    (stream,) = heard["streams"]
    assert (stream["media"], stream["encoding"], stream["payload_type"]) == ("load", "x-steadycast-load", 127)
    ledger = stream["ledger"]
    assert ledger["sent_known"]
    assert ledger["sent"] == ledger["arrived"] == sent["streams"][0]["ledger"]["sent"] > 100
    assert ledger["in_time"] + ledger["missed"] == ledger["sent"]
    assert stream["unusable"] == {}
    assert not [event for event in heard["events"] if event["kind"] == "key_frame_request"]


def test_a_search_ends_by_itself_and_says_what_to_do(tmp_path: Path) -> None:
    code, sent, _ = run(tmp_path, "--load", "find:2M")
    assert code == 0
    assert sent["find"]["rate_bps"] == 2_000_000
    assert sent["find"]["recommendation"]["bitrate_bps"] == 1_600_000
    assert sent["verdict"].startswith("The path carries 2 Mbit/s of UDP payload (2.05 Mbit/s with IP headers)")


def test_a_search_that_nobody_answers_is_one_line(tmp_path: Path) -> None:
    target = f"127.0.0.1:{peers.free_ports(4)}"
    with peers.Process(peers.sender(target, "--load", "find", "--json"), tmp_path, "sender") as sending:
        assert sending.wait(40) == 3
    sent: dict[str, Any] = sending.json()
    assert "start `python -m receiver` there first" in sent["error"]
    assert sent["find"]["rate_bps"] is None
