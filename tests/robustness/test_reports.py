"""The two ends' reports meet, over a path that loses a tenth of everything on the way there."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from tests.support import peers
from tests.support.relay import Relay

MEDIA = ("--video", "pattern", "--size", "320x240", "--audio", "tone", "--json")


def run(folder: Path, receiver_options: tuple[str, ...], seconds: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """(receiver's report, sender's report)."""
    port, draws = peers.free_ports(), random.Random(3)
    options = ("--audio", "none", "--video", "none", "--json", *receiver_options)
    with peers.Process(peers.receiver(f":{port}", *options), folder, "receiver") as receiver:
        receiver.wait_for_port(port)
        with Relay(port, lambda _: True, lambda _: int(draws.random() >= 0.1)) as relay:
            command = peers.sender(f"127.0.0.1:{relay.port}", *MEDIA, "--duration", seconds)
            with peers.Process(command, folder, "sender") as sender:
                assert sender.wait(20) == 0, sender.log
                assert receiver.wait(20) == 0, receiver.log
                return receiver.json(), sender.json()


@pytest.mark.parametrize(
    ("options", "seconds"),
    [(("--exit-on-end",), "3s"), (("--duration", "4s"), "6s")],
    ids=["the sender ends", "the receiver ends first"],
)
def test_each_report_holds_the_others(options: tuple[str, ...], seconds: str, tmp_path: Path) -> None:
    received, sent = run(tmp_path, options, seconds)
    assert len(received["streams"]) == 2
    assert sum(stream["ledger"]["lost"] for stream in received["streams"]) > 0
    assert sent["verdict"].startswith(received["verdict"])
    assert sent["peer"]["verdict"] == received["verdict"]
    assert {stream["ssrc"] for stream in received["peer"]["streams"]} == {s["ssrc"] for s in sent["streams"]}
    told = {stream["ssrc"]: stream["ledger"] for stream in sent["peer"]["streams"]}
    for stream in received["streams"]:
        assert told[stream["ssrc"]] == stream["ledger"]
        assert stream["rtt_ms"] is not None
        assert stream["one_way_delay_error_ms"] <= stream["rtt_ms"] / 2 + 1
