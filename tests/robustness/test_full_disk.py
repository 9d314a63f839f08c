"""A disk that fills: one line for each file, the stream goes on, and the run ends with that as its error."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import peers


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 40 kB."""
    peers.need("mount", "umount")
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=40k", "tmpfs", place], capture_output=True, check=False, text=True
    )
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.parametrize(
    "outputs",
    [
        ("--video", "o.mp4", "--record", "o.mkv", "--audio", "none"),
        ("--video", "o.y4m", "--audio", "o.wav"),
        ("--video", "none", "--audio", "none", "--capture", "o.pcapng"),
    ],
)
def test_a_full_disk_ends_the_file_and_not_the_stream(
    tmp_path: Path, clip: Path, disk: Path, outputs: tuple[str, ...]
) -> None:
    given = [disk / word if "." in word else word for word in outputs]
    port = peers.free_ports()
    with peers.Process(peers.receiver(f":{port}", *given, "--json", "--exit-on-end"), tmp_path, "receiver") as receiver:
        receiver.wait_for_port(port)
        command = peers.sender(f"127.0.0.1:{port}", "--video", clip, "--audio", clip)
        with peers.Process(command, tmp_path, "sender") as sender:
            assert sender.wait(20) == 0
        assert receiver.wait(10) == 1
        report: dict[str, Any] = receiver.json()
    files = [word for word in outputs if word.startswith("o.")]
    for name in files:
        assert receiver.log.count(f"{name}: No space left on device") == 1, receiver.log
    assert "No space left on device" in report["error"]
    assert len([event for event in report["events"] if event["kind"] == "output_failed"]) == len(files)
    for stream in report["streams"]:
        assert stream["ledger"]["arrived"] == stream["ledger"]["sent"]
    assert "Traceback" not in receiver.log
