"""What the programs read from or write to stands still and never answers: they go on, and end when they are told to."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.support import peers
from tests.support.pulse import SoundServer


def _end(process: peers.Process, within: float) -> None:
    """Ctrl-C; `within` some seconds more than it takes on a quiet machine."""
    process.interrupt(within)
    assert "Traceback" not in process.log
    assert "internal error" not in process.log


def test_pipes_that_nobody_reads_hold_nothing_up(tmp_path: Path) -> None:
    pipes = [tmp_path / name for name in ("out.y4m", "out.wav", "out.mkv")]
    for pipe in pipes:
        os.mkfifo(pipe)
    readers = [os.open(pipe, os.O_RDONLY | os.O_NONBLOCK) for pipe in pipes]
    port = peers.free_ports()
    try:
        given = ("--video", pipes[0], "--audio", pipes[1], "--record", pipes[2], "--json")
        with peers.Process(peers.receiver(f":{port}", *given), tmp_path, "receiver") as receiver:
            receiver.wait_for_port(port)
            source = ("--video", "pattern", "--size", "320x240", "--audio", "tone", "--audio-codec", "l16")
            with peers.Process(peers.sender(f"127.0.0.1:{port}", *source), tmp_path, "sender") as sender:
                receiver.wait_for_text("audio starts")
                time.sleep(3)
                _end(sender, 5)
            _end(receiver, 13)  # 2.5 s for pictures, 2 for sound, 4 for the recording
    finally:
        for reader in readers:
            os.close(reader)
    report = receiver.json()
    assert report["error"] == f"{pipes[2]}: takes nothing for 4 s; the rest is not written to it"
    streams = report["streams"]
    assert isinstance(streams, list)
    assert {stream["ledger"]["lost"] for stream in streams} == {0}, "receiving went on"


def test_a_sound_server_that_hangs_holds_nothing_up(tmp_path: Path) -> None:
    folder = tmp_path / "pulse"
    folder.mkdir()
    port = peers.free_ports()
    server = SoundServer(folder, ["out"])
    given = {"environment": server.environment}
    try:
        command = peers.receiver(f":{port}", "--audio", "speaker:pulse", "--video", "none", "--json")
        with peers.Process(command, tmp_path, "receiver", **given) as receiver:
            receiver.wait_for_port(port)
            command = peers.sender(f"127.0.0.1:{port}", "--audio", "mic:pulse", "--video", "none")
            with peers.Process(command, tmp_path, "sender", **given) as sender:
                receiver.wait_for_text("audio starts")
                time.sleep(1)
                server.pause()
                time.sleep(0.5)
                for process in (sender, receiver):
                    _end(process, 7)
                    assert process.process.returncode == 0
    finally:
        server.close()
    assert receiver.json()["error"] is None
