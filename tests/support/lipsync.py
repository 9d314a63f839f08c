"""Lip-sync judged from what was played: a clip whose pictures carry numbers and whose sound never repeats itself goes
through two networks, one for each, and both outputs are read in real time."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.support import media, peers
from tests.support.live import Program, Reader, SoundReader, proxy, python

_STRETCH = media.RATE // 10
_NEAR = 2 * media.RATE
"""samples around its expected place in which a stretch of sound is looked for."""


@dataclass(frozen=True, slots=True)
class Skew:
    """How well the two were together; ms."""

    measured: NDArray[np.float64]
    """sound minus picture of what was captured together, one for each stretch of sound."""
    reported: dict[str, float] | None
    """av_skew_ms of the receiver's report."""


def play(folder: Path, seconds: float, *, video_delay: int, audio_delay: int, settle: float) -> Skew:
    """Delays are ms one way; the first `settle` seconds are not judged."""
    clip = media.make_clip(folder / "clip.mkv", seconds)
    front, rear = peers.free_ports(), peers.free_ports()
    os.mkfifo(folder / "sound.wav")
    with ExitStack() as stack:
        for name, first, delay in (("video", 0, video_delay), ("audio", 2, audio_delay)):
            command = proxy([(front + i, rear + i) for i in (first, first + 1)], "--delay", delay)
            stack.enter_context(peers.Process(command, folder, f"proxy-{name}")).wait_for_text("ready")
        sound = SoundReader(folder / "sound.wav")
        outputs = ("--video", "-", "--audio", folder / "sound.wav", "--report", folder, "--exit-on-end")
        receive = python("receiver", f"rtp://127.0.0.1:{rear}", *outputs)
        receiver = stack.enter_context(Program(receive, folder / "receiver.log", read=True))
        pictures = Reader(receiver.output())
        receiver.wait_for_port(rear)
        send = python("sender", f"rtp://127.0.0.1:{front}", "--video", clip, "--video-bitrate", "1M")
        stack.enter_context(Program(send, folder / "sender.log")).end(seconds + 15)
        receiver.end()
        pictures.join(5)
        sound.join(5)
    report = json.loads((folder / "report.json").read_text())
    told = next(stream["av_skew_ms"] for stream in report["streams"] if stream["media"] == "video")
    return Skew(skews(pictures, sound, media.sound(seconds), settle), told)


def skews(pictures: Reader, sound: SoundReader, source: media.Sound, settle: float) -> NDArray[np.float64]:
    """ms by which each stretch of sound was played after the pictures captured with it. shape (n,)."""
    heard = sound.sound
    numbers = np.array(sorted(pictures.read))
    shown = np.array([pictures.read[number] for number in numbers.tolist()])
    found = []
    for at in range(0, len(heard) - _STRETCH, _STRETCH):
        moment = sound.time(at)
        near = np.interp(moment, shown, numbers) / media.FPS
        begin = max(0, round(near * media.RATE) - _NEAR)
        part = heard[at : at + _STRETCH]
        window = source[begin : begin + 2 * _NEAR]
        if near < settle or moment > shown[-1] or len(window) < len(part) or np.abs(part).mean() < 0.005:
            continue
        correlation, place = media.best_match(part, window)
        if correlation > 0.7:
            found.append((moment - np.interp((begin + place) / media.RATE * media.FPS, numbers, shown)) / 1e6)
    return np.array(found)
