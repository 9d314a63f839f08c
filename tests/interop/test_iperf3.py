"""Two losses iperf3 does not see and ours does: the tail, and as many duplicates as losses. One relay, one rule."""

from __future__ import annotations

import json
import random
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support import peers
from tests.support.relay import Copies, Relay

PACKETS = 209
"""what iperf3 sends in a second of 2 Mbit/s and 1200 octets a datagram; 59 of them are a tail."""
HANDSHAKE = 100
"""octets: iperf3's datagrams that open a test are shorter, and so is RTCP where nobody reports a loss."""


def tail(place: int) -> int:
    return int(place < PACKETS - 59)


def as_many_twice(place: int) -> int:
    chosen = random.Random(7).sample(range(10, PACKETS - 10), 42)
    return 0 if place in chosen[:21] else 2 if place in chosen[21:] else 1


def iperf3(rule: Copies) -> tuple[dict[str, Any], Relay]:
    port = peers.free_ports(1)
    server = subprocess.Popen(["iperf3", "-s", "-1", "-p", str(port)], stdout=subprocess.DEVNULL)
    try:
        _wait_for_server(port)
        with Relay(port, lambda data: len(data) > HANDSHAKE, rule, tcp=True) as relay:
            command = ["iperf3", "-c", "127.0.0.1", "-p", str(relay.port), "-u", "-b", "2M", "-l", "1200"]
            command += ["-k", str(PACKETS), "-J", "--get-server-output"]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=30)
        server.wait(10)
    finally:
        if server.poll() is None:
            server.terminate()
            server.wait(5)
    return json.loads(done.stdout)["end"]["sum"], relay


def _wait_for_server(port: int) -> None:
    wanted = f":{port:04X}"
    for _ in range(100):
        if any(wanted in line for line in Path("/proc/net/tcp6").read_text().splitlines()):
            return
        time.sleep(0.05)
    raise TimeoutError("iperf3 does not listen")


def ours(rule: Copies, folder: Path) -> tuple[dict[str, Any], Relay]:
    port = peers.free_ports()
    command = peers.receiver(f":{port}", "--audio", "none", "--video", "none", "--exit-on-end", "--json")
    with peers.Process(command, folder, "receiver") as receiver:
        receiver.wait_for_port(port)
        with Relay(port, lambda data: not 192 <= data[1] <= 223, rule) as relay:
            load = ("--load", "2M", "--packet-size", "1200", "--duration", "1s", "--json")
            with peers.Process(peers.sender(f"127.0.0.1:{relay.port}", *load), folder, "sender") as sender:
                assert sender.wait(20) == 0, sender.log
            assert receiver.wait(20) == 0, receiver.log
        (stream,) = receiver.json()["streams"]
    return stream["ledger"], relay


@pytest.mark.parametrize("rule", [tail, as_many_twice])
def test_what_is_lost_is_counted(rule: Copies, tmp_path: Path) -> None:
    ledger, relay = ours(rule, tmp_path)
    assert relay.lost > 0
    assert (ledger["sent"], ledger["lost"], ledger["duplicates"]) == (relay.sent, relay.lost, relay.duplicated)
    assert ledger["lost_network"] == relay.lost


@pytest.mark.parametrize("rule", [tail, as_many_twice])
def test_iperf3_says_something_else(rule: Copies) -> None:
    """Should this fail, iperf3 has learned to count: docs/measuring.md says that it has not."""
    peers.need("iperf3")
    told, relay = iperf3(rule)
    assert relay.sent == PACKETS
    assert relay.lost > 0
    assert told["lost_packets"] != relay.lost, told
    print(f"\niperf3: {told['lost_packets']} of {told['packets']} lost; the relay dropped {relay.lost}")
