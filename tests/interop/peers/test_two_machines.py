"""The walk-through of docs/security.md: two machines, rtsps://, trust on first use. Each is a network namespace."""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from typing import Any

from tests.support import peers
from tests.support.machines import Machine, two_machines

MEDIA = ("--video", "pattern", "--size", "160x120", "--fps", "15", "--audio", "tone", "--duration", "60s")
SECONDS = 1


def serving(machine: Machine, *options: object) -> peers.Process:
    process = machine.run(peers.sender("serve", "rtsps://0.0.0.0:8555/live", *MEDIA, *options), "serve")
    process.wait_for_text("serving rtsps://")
    return process


def receive(machine: Machine, url: str, *options: object) -> tuple[int, str, dict[str, Any]]:
    """Exit code, what it said, and its report, after a second of `url`."""
    quiet = ("--video", "none", "--audio", "none", "--duration", f"{SECONDS}s", "--json")
    with machine.run(peers.receiver(url, *quiet, *options), "receiver") as process:
        code = process.wait(20)
        return code, process.log, process.json()


def fingerprint(process: peers.Process) -> str:
    process.wait_for_text("SHA-256 ")
    return re.findall(r"SHA-256 ((?:[0-9A-F]{2}:){31}[0-9A-F]{2})", process.log)[0]


def packets(report: dict[str, Any]) -> int:
    return sum(stream["packets_received"] for stream in report["streams"])


def test_trust_on_first_use_and_a_certificate_that_changed(tmp_path: Path) -> None:
    with two_machines(tmp_path) as (there, here):
        url = f"rtsps://{there.address}:8555/live"
        with serving(there) as server:
            shown = fingerprint(server)
            code, said, report = receive(here, url)
            assert (code, report["error"]) == (0, None), said
            assert f"{there.address}:8555 is new here and trusted from now on, by its fingerprint {shown}" in said
            assert "by UDP, encrypted" in said
            assert packets(report) > 20
            known = here.configuration / "known_hosts"
            assert known.read_text() == f"{there.address}:8555 {shown}\n"
            code, said, report = receive(here, url)
            assert (code, report["error"]) == (0, None), said
            assert "trusted" not in said
        (there.configuration / "identity.pem").unlink()
        with serving(there) as server:
            assert fingerprint(server) != shown
            code, said, report = receive(here, url)
            assert code == 1
            refusal = f"{there.address}:8555 shows another certificate than before: somebody may be in between"
            assert refusal in report["error"]
            assert packets(report) == 0
            code, _, report = receive(here, url, "--fingerprint", fingerprint(server))
            assert (code, report["error"]) == (0, None)


def test_passwords(tmp_path: Path) -> None:
    users, wrong, right = tmp_path / "users", tmp_path / "wrong", tmp_path / "right"
    for path, content in ((users, "anna:secret\n"), (wrong, "guess\n"), (right, "secret\n")):
        path.touch(0o600)
        path.write_text(content)
    with two_machines(tmp_path) as (there, here), serving(there, "--users", users):
        url = f"rtsps://anna@{there.address}:8555/live"
        code, said, report = receive(here, url, "--password-file", right)
        assert (code, report["error"]) == (0, None), said
        code, _, report = receive(here, url, "--password-file", wrong)
        assert code == 1
        assert report["error"] == f"{there.address}:8555 does not take the password of anna"
        code, _, report = receive(here, url)
        assert "wants the password of anna: give --password-file FILE" in report["error"]


def test_the_sender_comes_to_the_receiver(tmp_path: Path) -> None:
    """The other way round: it is the receiver that is new to the sender."""
    with two_machines(tmp_path) as (there, here):
        url = f"rtsps://{here.address}:5004/studio"
        listening = peers.receiver(":5004", "--video", "none", "--audio", "none", "--exit-on-end", "--json", "-v")
        sending = peers.sender(url, *MEDIA, "--duration", f"{SECONDS}s", "--json")
        with here.run(listening, "receiver") as receiver:
            receiver.wait_for_text("fingerprint of this machine's certificate: ")
            shown = re.findall(r"certificate: (\S{95})", receiver.log)[0]
            with there.run(sending, "sender") as sender:
                assert sender.wait(20) == 0, sender.log
            assert receiver.wait(10) == 0, receiver.log
            assert f"{here.address}:5004 is new here and trusted from now on, by its fingerprint {shown}" in sender.log
            assert packets(receiver.json()) > 20
        (here.configuration / "identity.pem").unlink()
        with here.run(listening, "receiver") as receiver:
            receiver.wait_for_text("fingerprint of this machine's certificate: ")
            with there.run(sending, "sender") as sender:
                assert sender.wait(20) == 1, sender.log
                assert f"{here.address}:5004 shows another certificate than before" in str(sender.json()["error"])


def test_a_host_alone_is_enough_and_nobody_talks_the_sender_out_of_encryption(tmp_path: Path) -> None:
    """In the open to a stranger that takes nothing else, with a warning; never where there was trust before."""
    with two_machines(tmp_path) as (there, here):
        place = f"{here.address}:5004"
        quiet = ("--video", "none", "--audio", "none", "--json")
        sending = peers.sender(here.address, *MEDIA, "--duration", f"{SECONDS}s", "--json")
        in_the_open = peers.receiver("rtp://:5004", *quiet)
        with here.run(in_the_open, "receiver") as receiver:
            time.sleep(SECONDS)
            with there.run(sending, "sender") as sender:
                assert sender.wait(20) == 0, sender.log
            assert receiver.interrupt() == 0, receiver.log
            assert f"{place} takes no encryption (nobody listens on TCP port 5004): sending in the open" in sender.log
            assert packets(receiver.json()) > 20
        with here.run(peers.receiver(":5004", *quiet), "receiver") as receiver:
            wait_until_heard(there, here.address, 5004)
            with there.run(sending, "sender") as sender:
                assert sender.wait(20) == 0, sender.log
            assert receiver.interrupt() == 0, receiver.log
            assert f"{place} is new here and trusted from now on" in sender.log
            assert packets(receiver.json()) > 20
        with here.run(in_the_open, "receiver") as receiver:
            time.sleep(SECONDS)
            with there.run(sending, "sender") as sender:
                assert sender.wait(20) == 3, sender.log
                assert "It was trusted before, so nothing is sent there in the open" in str(sender.json()["error"])
            receiver.interrupt()
            assert packets(receiver.json()) == 0


def wait_until_heard(machine: Machine, address: str, port: int) -> None:
    """Until somebody listens on a TCP port."""
    program = f"import socket; socket.create_connection(({address!r}, {port}), 1).close()"
    for _ in range(50):
        with machine.run([sys.executable, "-c", program], "knock") as knock:
            if knock.wait(5) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"nobody listens on {address}:{port}")


def test_they_find_each_other(tmp_path: Path) -> None:
    with two_machines(tmp_path) as (there, here), serving(there) as server:
        shown = fingerprint(server)
        with here.run(peers.receiver("--video", "none", "--audio", "none"), "listening"):
            for _ in range(3):
                with here.run(peers.receiver("--find", "--json"), "finding") as finding:
                    finding.wait(15)
                    found = {each["url"]: each for each in json.loads(finding.output or "[]")}
                if len(found) == 2:
                    break
    assert set(found) == {f"rtsps://{there.address}:8555/live", f"rtsps://{here.address}:5004"}
    assert found[f"rtsps://{there.address}:8555/live"]["fingerprint"] == shown
    assert [each["role"] for _, each in sorted(found.items())] == ["sends", "receives"]
