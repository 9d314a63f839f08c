"""A microphone and a speaker that are PulseAudio's null sinks, our two programs between them, and what went through."""

from __future__ import annotations

import json
import sys
import time
import wave
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.support import media, peers
from tests.support.pulse import FORMAT, SoundServer
from tests.support.tap import Recording

STRETCH = 0.1
"""s of sound compared at a time: short enough that a clock which is followed does not shift within it."""


@dataclass(frozen=True, slots=True)
class Passage:
    """What went in at the microphone, against what came out."""

    correlations: NDArray[np.float64]
    """of each stretch at the loudspeaker's sink with what was played into the microphone's."""
    latencies: NDArray[np.float64]
    """ms from a sample's capture callback to its playout callback, a value a stretch."""
    concealed: float
    """share of the sound that was made up because there was none."""
    underruns: int
    """as the sound card saw them."""
    report: dict[str, Any]
    """the receiver's."""


def pass_through(folder: Path, seconds: float) -> Passage:
    """Plays sound into the microphone's sink and records the speaker's. Skips where there is no sound server."""
    source = media.sound(seconds)
    sound = write_wave(folder / "source.wav", source)
    port = peers.free_ports()
    with closing(SoundServer(folder, ("speaker", "microphone"))) as server, ExitStack() as stack:

        def start(name: str, command: Sequence[object], **more: str) -> peers.Process:
            environment = server.environment | more
            return stack.enter_context(peers.Process(command, folder, name, environment=environment))

        start("recorder", ["parec", "-d", "speaker.monitor", *FORMAT])
        to = ("--video", "none", "--audio", "speaker:pulse", "--json")
        receiver = start("receiver", tap(folder / "out.npz", "receiver", f":{port}", *to), PULSE_SINK="speaker")
        receiver.wait_for_port(port)
        said = ("--video", "none", "--audio", "mic:pulse")
        target = f"127.0.0.1:{port}"
        sender = start("sender", tap(folder / "in.npz", "sender", target, *said), PULSE_SOURCE="microphone.monitor")
        _wait_for_microphone(sender)
        start("player", ["paplay", "-d", "microphone", "--latency-msec=20", sound]).wait(seconds + 10)
        time.sleep(0.5)
        assert sender.interrupt() == 0, sender.log
        assert receiver.interrupt() == 0, receiver.log
    return _passage(folder, source)


def tap(blocks: Path, *command: object) -> list[object]:
    """One of our programs, with its sound card listened in on."""
    return [sys.executable, "-m", "tests.support.tap", blocks, *command]


def write_wave(path: Path, sound: media.Sound) -> Path:
    """16 bits, mono, 48 kHz."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, media.RATE, 0, "NONE", ""))
        file.writeframes(np.round(sound * 32767).astype("<i2").tobytes())
    return path


def matches(heard: media.Sound, source: media.Sound) -> list[tuple[float, int, int]]:
    """(correlation, place in `heard`, place in `source`) of each stretch that is not silent; places in samples."""
    size = round(STRETCH * media.RATE)
    loud = [at for at in range(0, len(heard) - size, size) if np.sqrt(np.mean(heard[at : at + size] ** 2)) > 0.01]
    found: list[tuple[float, int, int]] = []
    for at in loud[2:-2]:  # its first and last may lie half in the silence around it
        begin, end = 0, len(source)
        if found:  # near where the stretch before was
            expected = found[-1][2] + at - found[-1][1]
            begin, end = max(0, expected - media.RATE), expected + media.RATE
        window = source[begin:end]
        if len(window) > size:
            correlation, place = media.best_match(heard[at : at + size], window)
            found.append((correlation, at, begin + place))
    return found


def latencies(captured: Recording, played: Recording) -> NDArray[np.float64]:
    """ms from each stretch's capture callback to its playout callback. shape (n,)."""
    found = [
        (played.times[at] - captured.times[place]) / 1e6
        for correlation, at, place in matches(played.samples, captured.samples)
        if correlation > 0.9
    ]
    return np.array(found)


def _wait_for_microphone(sender: peers.Process) -> None:
    """A null sink's monitor gives its first block after about two seconds."""
    time.sleep(3)
    if sender.process.poll() is not None:
        import pytest

        pytest.skip(f"PortAudio does not reach PulseAudio: {sender.log.strip()}")


def _passage(folder: Path, source: media.Sound) -> Passage:
    data = (folder / "recorder.out").read_bytes()
    heard = np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.float32) / np.float32(32768)
    report = json.loads((folder / "receiver.out").read_text())
    told = next(stream for stream in report["streams"] if stream["media"] == "audio")["concealment"]
    return Passage(
        np.array([correlation for correlation, _, _ in matches(heard, source)]),
        latencies(Recording.read(folder / "in.npz"), Recording.read(folder / "out.npz")),
        told["concealed_samples"] / max(1, told["total_samples_received"]),
        told["underruns"],
        report,
    )
