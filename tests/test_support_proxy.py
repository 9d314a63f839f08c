"""The proxy between real sockets: what it says happened is what happened."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from tests.support import peers


def receive_all(sock: socket.socket) -> list[bytes]:
    sock.settimeout(0.5)
    received = []
    try:
        while True:
            received.append(sock.recv(2000))
    except TimeoutError:
        return received


def test_its_log_and_summary_are_what_arrived(tmp_path: Path) -> None:
    listen = peers.free_ports(1)
    far, near = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    with far, near:
        far.bind(("127.0.0.1", 0))
        log = tmp_path / "log.jsonl"
        options = ("--loss", "20%", "--duplication", "10%", "--delay", "10ms", "--jitter", "3ms", "--log", log)
        command = peers.proxy("--map", f"{listen}:{far.getsockname()[1]}", *options, "--seed", "3")
        with peers.Process(command, tmp_path, "proxy") as proxy:
            proxy.wait_for_text("ready")
            for number in range(300):
                near.sendto(b"\x80\x60" + number.to_bytes(2) + bytes(4) + b"abcd" + bytes(100), ("127.0.0.1", listen))
            received = [int.from_bytes(data[2:4]) for data in receive_all(far)]
            assert proxy.stop() == 0
    fates = [json.loads(line) for line in log.read_text().splitlines()]
    expected = sorted((moment, fate["sequence"]) for fate in fates for moment in fate["arrivals"])
    assert sorted(received) == sorted(number for _, number in expected)
    stream = proxy.json()["streams"][0]  # type: ignore[index]
    assert stream["sent"] == 300
    assert stream["arrived"] == len(set(received)) < 300
    assert stream["duplicates"] == len(received) - len(set(received)) > 0


def test_answers_go_back_to_whoever_sent(tmp_path: Path) -> None:
    listen = peers.free_ports(1)
    far, near = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    with far, near:
        far.bind(("127.0.0.1", 0))
        command = peers.proxy("--map", f"{listen}:{far.getsockname()[1]}")
        with peers.Process(command, tmp_path, "proxy") as proxy:
            proxy.wait_for_text("ready")
            near.sendto(b"there", ("127.0.0.1", listen))
            far.settimeout(5)
            data, address = far.recvfrom(100)
            assert data == b"there"
            far.sendto(b"back", address)
            near.settimeout(5)
            assert near.recv(100) == b"back"


def test_what_goes_on_may_come_from_a_port_that_is_known(tmp_path: Path) -> None:
    listen, origin = peers.free_ports(2), peers.free_ports(2)
    far, near = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    with far, near:
        far.bind(("127.0.0.1", 0))
        far.settimeout(5)
        command = peers.proxy("--map", f"{listen}:{far.getsockname()[1]}:{origin}")
        with peers.Process(command, tmp_path, "proxy") as proxy:
            proxy.wait_for_text("ready")
            near.sendto(b"there", ("127.0.0.1", listen))
            assert far.recvfrom(100) == (b"there", ("127.0.0.1", origin))
