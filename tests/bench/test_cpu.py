"""CPU time of a stream at both ends, beside what the codec alone takes for the same pictures."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import pytest

from receiver.decode.video import VideoDecoder
from receiver.media import AccessUnit, Format, StreamKey
from sender.encode.video import open_video_encoder
from sender.libraries import av
from sender.media import Picture
from tests.support import media, peers
from tests.support.live import FPS, HEIGHT, WIDTH, Feeder, Program, Reader, python, scene

pytestmark = [pytest.mark.bench, pytest.mark.timeout(240)]

SECONDS, WARM = 20, 3
BITRATE = 1_000_000


def codec_alone(pictures: int) -> tuple[float, float]:
    """CPU seconds to encode and to decode so many pictures in this process."""
    encoder = open_video_encoder("h264", WIDTH, HEIGHT, Fraction(FPS), BITRATE)
    form = Format("H264", 90_000)
    decoder = VideoDecoder(form)
    shown = scene()
    encoding = decoding = 0.0
    for number in range(pictures):
        planes = shown[number % len(shown)].copy()
        media.write_number(planes[:HEIGHT], number)
        frame = av.VideoFrame.from_numpy_buffer(planes, "yuv420p")
        moment = number * 1_000_000_000 // FPS
        begin = time.process_time()
        units = encoder.encode(Picture(frame, moment, moment))
        middle = time.process_time()
        for unit in units:
            decoder.decode(AccessUnit(StreamKey(1), form, unit.data, unit.timestamp, 0, 0))
        decoding += time.process_time() - middle
        encoding += middle - begin
    return encoding, decoding


def programs(folder: Path) -> tuple[float, float, int]:
    """(CPU seconds of the sender, of the receiver, pictures) between the third second and the last."""
    os.mkfifo(folder / "in")
    port = peers.free_ports()
    send = ("--video", folder / "in", "--audio", "none", "--video-bitrate", "1M")
    receive = ("--video", "-", "--audio", "none", "--exit-on-end")
    with ExitStack() as stack:
        command = python("receiver", f"127.0.0.1:{port}", *receive)
        receiver = stack.enter_context(Program(command, folder / "receiver.log", read=True))
        reader = Reader(receiver.output())
        receiver.wait_for_port(port)
        sender = stack.enter_context(Program(python("sender", f"127.0.0.1:{port}", *send), folder / "sender.log"))
        feeder = Feeder(folder / "in", SECONDS * FPS)
        feeder.wait_for(WARM * FPS)
        before = sender.used(), receiver.used()
        feeder.wait_for(SECONDS * FPS - 1)
        after = sender.used(), receiver.used()
        feeder.join(10)
        sender.end()
        receiver.end()
        reader.join(5)
    return after[0] - before[0], after[1] - before[1], (SECONDS - WARM) * FPS


def test_cpu_beside_the_codecs_own(tmp_path: Path) -> None:
    sender, receiver, pictures = programs(tmp_path)
    encoding, decoding = codec_alone(pictures)
    print(f"\nCPU ms a picture, {WIDTH}x{HEIGHT}, H.264 at {BITRATE / 1e6:.0f} Mbit/s:")
    for name, whole, codec in (("sender", sender, encoding), ("receiver", receiver, decoding)):
        print(
            f"{name:12} {whole / pictures * 1e3:6.2f}  codec alone {codec / pictures * 1e3:6.2f}  "
            f"{whole / codec:5.2f} x the codec  ({100 * whole / (SECONDS - WARM):.1f} % of a core)"
        )
