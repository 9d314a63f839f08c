"""A real sound server's null sink, played through PortAudio in a process of its own and recorded by parec."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from shutil import which

import numpy as np
import pytest

from protocol.errors import ResourceError, UsageError
from receiver.playout import speaker as module
from receiver.playout.audio import AudioTimeline
from receiver.playout.speaker import open_speaker
from tests.support import media

PROGRAM = """
import sys, threading, time
import numpy as np
from receiver.media import Samples
from receiver.playout.audio import AudioTimeline
from receiver.playout.speaker import list_speakers, open_speaker

sound = np.load(sys.argv[1])
timeline = AudioTimeline(48000, 2)
lines = []
speaker = open_speaker("pulse", timeline, lambda line: print("LOG", line, flush=True))
begin = time.monotonic_ns() + 2_500_000_000  # a null sink's first block is 2 s
print("BEGIN", begin, flush=True)
for start in range(0, len(sound) - 960, 960):
    due = begin + start * 1_000_000_000 // 48000
    time.sleep(max(0, due - 20_000_000 - time.monotonic_ns()) / 1e9)
    timeline.push(Samples(sound[start:start + 960, None], 48000, start, due))
time.sleep(0.3)
statistics = speaker.statistics()
print("END", statistics.underruns, statistics.device_latency_s, timeline.delay, statistics.concealment_events,
      time.process_time(), flush=True)
speaker.close()
"""


class Pulse:
    """A PulseAudio of our own: private directory, one null sink."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "XDG_RUNTIME_DIR": str(folder),
            "HOME": str(folder),
            "PULSE_SERVER": f"unix:{folder}/socket",
        }
        self.start()

    def start(self) -> None:
        script = self.folder / "pulse.pa"
        script.write_text(
            f"load-module module-native-protocol-unix auth-anonymous=1 socket={self.folder}/socket\n"
            "load-module module-null-sink sink_name=out rate=48000\nset-default-sink out\n"
        )
        (self.folder / "socket").unlink(missing_ok=True)
        self.server = subprocess.Popen(
            ["pulseaudio", "-n", "-F", str(script), "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"],
            env=self.environment,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + 5
        while not (self.folder / "socket").exists():
            if time.monotonic() > end or self.server.poll() is not None:
                self.stop()
                pytest.skip("PulseAudio does not start")
            time.sleep(0.05)

    def stop(self) -> None:
        self.server.terminate()
        self.server.wait(5)


@pytest.fixture
def pulse(tmp_path: Path) -> Iterator[Pulse]:
    if not which("pulseaudio") or not which("parec"):
        pytest.skip("PulseAudio is not installed")
    server = Pulse(tmp_path)
    yield server
    server.stop()


def play(pulse: Pulse, sound: np.ndarray) -> subprocess.Popen[str]:
    np.save(pulse.folder / "sound.npy", sound)
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, pulse.folder / "sound.npy"],
        env=pulse.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def noise(seconds: float) -> np.ndarray:
    rng = np.random.default_rng(4)
    smooth = np.convolve(rng.normal(0, 1, round(seconds * 48000)), np.hanning(24), "same")
    return (0.3 * smooth / np.abs(smooth).max()).astype(np.float32)


def test_what_is_pushed_comes_out_of_the_sound_server(pulse: Pulse) -> None:
    with (pulse.folder / "heard.raw").open("w+b") as file:  # a pipe would be full before it is read
        recorder = subprocess.Popen(
            ["parec", "-d", "out.monitor", "--format=s16le", "--rate=48000", "--channels=1", "--latency-msec=10"],
            env=pulse.environment,
            stdout=file,
        )
        player = play(pulse, noise(2))
        output, _ = player.communicate(timeout=20)
        recorder.terminate()
        recorder.wait(5)
        file.seek(0)
        data = file.read()
    if "BEGIN" not in output:
        pytest.skip("PortAudio finds no ALSA device for PulseAudio")
    heard = np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.float32)
    part = noise(2)[24000:72000]
    # In stretches of 0.1 s: following the playout times may move the sound by a few samples in a second.
    found = [media.best_match(part[at : at + 4800], heard) for at in range(0, len(part), 4800)]
    assert np.median([correlation for correlation, _ in found]) > 0.99
    places = np.array([place for _, place in found])
    assert np.median(np.abs(np.diff(places) - 4800)) < 10
    latency = float(output.split("END")[1].split()[1])
    assert 0 < latency < 0.5


def test_a_speaker_that_goes_is_one_line_and_comes_back(pulse: Pulse) -> None:
    player = play(pulse, noise(5))
    assert player.stdout is not None
    if not player.stdout.readline().startswith("BEGIN"):
        pytest.skip("PortAudio finds no ALSA device for PulseAudio")
    time.sleep(2.5)
    pulse.stop()
    time.sleep(0.2)
    pulse.start()
    output, _ = player.communicate(timeout=25)
    assert player.returncode == 0
    lines = [line for line in output.splitlines() if line.startswith("LOG")]
    assert lines == ["LOG the speaker is gone; playing goes on without it until it is back", "LOG the speaker is back"]


def test_without_a_sound_card_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sounddevice", exc_type=OSError)
    monkeypatch.setattr(module, "list_speakers", list)
    with pytest.raises(ResourceError, match="there is no sound card; use --audio none"):
        open_speaker(None, AudioTimeline(), print)


def test_a_speaker_nobody_has_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sounddevice", exc_type=OSError)
    device = module.SpeakerDevice(3, "Loudspeaker", "ALSA", 2, 48000, True)
    monkeypatch.setattr(module, "list_speakers", lambda: [device])
    assert module._device("loud") == module._device("3") == 3
    with pytest.raises(UsageError, match="no speaker is called 'trumpet'"):
        open_speaker("trumpet", AudioTimeline(), print)


def test_without_portaudio_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(ResourceError, match="PortAudio is missing"):
        module.list_speakers()
