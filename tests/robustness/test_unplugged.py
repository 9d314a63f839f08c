"""A camera, a microphone and a speaker that go in the middle and come back: one line each, and the stream goes on."""

from __future__ import annotations

import os
import subprocess
import time
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support import media, peers
from tests.support.camera import FPS, NetworkCamera
from tests.support.pulse import FORMAT, SoundServer

SECONDS = 30.0
"""of sound that is nowhere the same twice."""
AFTER = 1000
"""the number of the first picture of a camera that is back."""


@pytest.mark.parametrize("how", ["it is gone", "it hangs"])
def test_a_camera_goes_and_comes_back(how: str, tmp_path: Path) -> None:
    port, camera = peers.free_ports(), NetworkCamera(tmp_path)
    camera.start()
    try:
        files = ("--video", tmp_path / "out.y4m", "--audio", tmp_path / "out.wav", "--json", "--exit-on-end")
        with peers.Process(peers.receiver(f":{port}", *files), tmp_path, "receiver") as receiver:
            receiver.wait_for_port(port)
            command = peers.sender(f"127.0.0.1:{port}", "--video", f"camera:{camera.url}", "--audio", "tone")
            with peers.Process(command, tmp_path, "sender") as sender:
                receiver.wait_for_text("video starts")
                time.sleep(1.5)
                camera.pause()
                if how == "it is gone":
                    camera.kill()
                sender.wait_for_text("is gone; trying again every second", 9)
                time.sleep(1.5)
                camera.kill()
                camera.start(AFTER)
                sender.wait_for_text("is back", 9)
                receiver.wait_for_text("video is back after")
                time.sleep(1.5)
                assert sender.interrupt() == 0
            assert receiver.wait(10) == 0
    finally:
        camera.kill()
    report: dict[str, Any] = receiver.json()
    _check_lines(sender, "camera http")
    assert {stream["media"]: stream["ledger"]["lost"] for stream in report["streams"]} == {"audio": 0, "video": 0}
    assert "no audio packets" not in receiver.log, "the sound goes on"
    seen = media.look(tmp_path / "out.y4m")
    again = [number for number in seen.numbers if number >= AFTER]
    assert seen.in_order
    assert seen.unreadable == 0
    assert seen.median_psnr > 28
    assert len(seen.numbers) - len(again) >= FPS
    assert len(again) >= FPS
    assert again[0] < AFTER + 4 * FPS, "soon after its return"


def _check_lines(process: peers.Process, device: str) -> None:
    said = [line.partition(";")[0].split()[-1] for line in process.log.splitlines() if device in line]
    assert said == ["gone", "back"], process.log
    for noise in ("Traceback", "ALSA lib", "Expression"):
        assert noise not in process.log


@pytest.fixture(scope="module")
def long_sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "sound.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, media.RATE, 0, "NONE", ""))
        file.writeframes(np.round(media.sound(SECONDS) * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SoundServer]:
    folder = tmp_path / "pulse"
    folder.mkdir()
    sound_server = SoundServer(folder, ["out"])
    yield sound_server
    sound_server.close()


def _found(sound: media.Sound) -> float:
    """The best correlation with the source of a fifth of a second: it is heard, however late and often corrected."""
    size = media.RATE // 5
    source = media.sound(SECONDS)
    return max(
        (media.best_match(sound[at : at + size], source)[0] for at in range(0, len(sound) - size, size)), default=0
    )


def test_a_speaker_without_its_device_plays_again_when_that_is_back(
    server: SoundServer, long_sound: Path, tmp_path: Path
) -> None:
    """The server stays, the only device goes; sound comes out of it again afterwards."""
    port, given = peers.free_ports(), {"environment": server.environment}
    command = peers.receiver(f":{port}", "--audio", "speaker:pulse", "--video", "none", "--json")
    with peers.Process(command, tmp_path, "receiver", **given) as receiver:
        receiver.wait_for_port(port)
        command = peers.sender(f"127.0.0.1:{port}", "--audio", long_sound, "--video", "none")
        with peers.Process(command, tmp_path, "sender", **given) as sender:
            receiver.wait_for_text("audio starts")
            time.sleep(1.5)
            server.unplug("out")
            receiver.wait_for_text("the speaker is gone")
            server.plug("out")
            receiver.wait_for_text("the speaker is back")
            with (tmp_path / "heard.raw").open("wb") as file:
                heard = ["parec", "-d", "out.monitor", *FORMAT]
                recorder = subprocess.Popen(heard, env=os.environ | server.environment, stdout=file)
                time.sleep(4)
                recorder.terminate()
                recorder.wait(5)
            assert sender.interrupt() == 0
        assert receiver.interrupt() == 0
    _check_lines(receiver, "the speaker")
    (stream,) = receiver.json()["streams"]  # type: ignore[misc]
    assert stream["ledger"]["lost"] == 0
    assert _found(np.fromfile(tmp_path / "heard.raw", "<i2").astype(np.float32) / 32768) > 0.98


def test_a_microphone_without_its_device_is_heard_again_when_that_is_back(
    server: SoundServer, long_sound: Path, tmp_path: Path
) -> None:
    port, given = peers.free_ports(), {"environment": server.environment}
    command = peers.receiver(f":{port}", "--audio", tmp_path / "heard.wav", "--video", "none", "--json")
    with peers.Process(command, tmp_path, "receiver", **given) as receiver:
        receiver.wait_for_port(port)
        command = peers.sender(f"127.0.0.1:{port}", "--audio", "mic:pulse", "--video", "none")
        with peers.Process(command, tmp_path, "sender", **given) as sender:
            receiver.wait_for_text("audio starts")
            time.sleep(1)
            server.unplug("out")
            sender.wait_for_text("microphone pulse is gone")
            server.plug("out")
            with peers.Process(["paplay", long_sound], tmp_path, "voice", **given):
                sender.wait_for_text("microphone pulse is back")
                time.sleep(4)
            assert sender.interrupt() == 0
        assert receiver.interrupt() == 0
    _check_lines(sender, "microphone pulse")
    (stream,) = receiver.json()["streams"]  # type: ignore[misc]
    assert stream["ledger"]["lost"] == 0
    assert _found(media.read_sound(tmp_path / "heard.wav")[0]) > 0.98, "silence was recorded before"


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
        _check_lines(process, device)
    assert {stream["media"] for stream in report["streams"]} == {"audio", "video"}
    video = next(stream for stream in report["streams"] if stream["media"] == "video")
    assert video["ledger"]["lost"] == 0
