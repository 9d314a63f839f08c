"""A sound server that dies under a microphone and a speaker, and comes back: one line each, and the stream goes on."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tests.support import peers
from tests.support.pulse import SoundServer


def test_microphone_and_speaker_go_and_come_back(tmp_path: Path) -> None:
    folder = tmp_path / "pulse"
    folder.mkdir()
    port = peers.free_ports()
    server = SoundServer(folder, ["out"])
    try:
        command = peers.receiver(f":{port}", "--audio", "speaker:pulse", "--video", "none", "--json")
        environment = server.environment
        with peers.Process(command, tmp_path, "receiver", environment=environment) as receiver:
            receiver.wait_for_port(port)
            command = peers.sender(f"127.0.0.1:{port}", "--audio", "mic:pulse", "--video", "pattern", "--json")
            with peers.Process(command, tmp_path, "sender", environment=environment) as sender:
                receiver.wait_for_text("audio starts")
                time.sleep(1)
                server.close()
                receiver.wait_for_text("the speaker is gone")
                sender.wait_for_text("microphone pulse is gone")
                server = SoundServer(folder, ["out"])
                receiver.wait_for_text("the speaker is back")
                sender.wait_for_text("microphone pulse is back")
                time.sleep(1.5)
                assert sender.interrupt() == 0
            assert receiver.interrupt() == 0
            report: dict[str, Any] = receiver.json()
    finally:
        server.close()
    for process, device in ((receiver, "the speaker"), (sender, "microphone pulse")):
        assert process.log.count(f"{device} is gone") == 1, process.log
        assert process.log.count(f"{device} is back") == 1, process.log
        assert "Traceback" not in process.log
    assert {stream["media"] for stream in report["streams"]} == {"audio", "video"}
    video = next(stream for stream in report["streams"] if stream["media"] == "video")
    assert video["ledger"]["lost"] == 0
