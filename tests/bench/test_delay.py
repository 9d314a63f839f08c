"""A picture written into the sender's FIFO to the same picture written by the receiver, 20 ms of network between."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support import peers
from tests.support.live import FPS, HEIGHT, WIDTH, Feeder, Program, Reader, delays, proxy, python, show

pytestmark = [pytest.mark.bench, pytest.mark.timeout(400)]

SECONDS, ROUNDS = 20, 3
DELAY = 20
"""ms of the network, one way."""
MEDIAN, HIGH, CPU = 28.0, 35.0, 4.0
"""ms, ms at the 95th percentile, CPU seconds of both ends."""
FFMPEG = ("ffmpeg", "-hide_banner", "-nostats", "-loglevel", "warning")
X264 = (
    *("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-profile:v", "baseline", "-threads", "1"),
    *("-b:v", "1M", "-maxrate", "1M", "-bufsize", "600k", "-g", "60"),
)


@dataclass(frozen=True, slots=True)
class Run:
    """What one pair of programs did."""

    delays: NDArray[np.float64]
    sender_cpu: float
    receiver_cpu: float
    pictures: int


def ours(folder: Path) -> Run:
    """Our two programs."""
    folder.mkdir()
    front, rear = peers.free_ports(), peers.free_ports()
    send = ("--video", folder / "in", "--audio", "none", "--video-bitrate", "1M")
    receive = ("--video", "-", "--audio", "none", "--exit-on-end")
    return play(
        folder,
        python("sender", f"127.0.0.1:{front}", *send),
        python("receiver", f"127.0.0.1:{rear}", *receive),
        [(front + i, rear + i) for i in range(4)],
    )


def ffmpeg(folder: Path) -> Run:
    """FFmpeg at both ends, nothing buffered that its options can avoid."""
    folder.mkdir()
    front, rear = peers.free_ports(), peers.free_ports()
    description = folder / "ffmpeg.sdp"
    description.write_text(
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\n"
        f"m=video {rear} RTP/AVP 96\na=rtpmap:96 H264/90000\na=fmtp:96 packetization-mode=1\n"
    )
    raw = ("-f", "rawvideo", "-pix_fmt", "yuv420p", "-video_size", f"{WIDTH}x{HEIGHT}", "-framerate", FPS)
    send = (*raw, "-i", folder / "in", *X264, "-payload_type", 96, "-f", "rtp")
    quick = ("-flags", "low_delay", "-probesize", 32, "-analyzeduration", 0, "-threads", 1, "-max_delay", 0)
    output = ("-an", "-fps_mode", "passthrough", "-pix_fmt", "yuv420p", "-threads", 1, "-flush_packets", 1)
    return play(
        folder,
        [*FFMPEG, *send, f"rtp://127.0.0.1:{front}?pkt_size=1200"],
        [*FFMPEG, "-protocol_whitelist", "file,udp,rtp", *quick, "-i", description, *output, "-f", "rawvideo", "-"],
        [(front + i, rear + i) for i in range(2)],
        raw=True,
    )


def play(
    folder: Path, send: list[object], receive: list[object], maps: list[tuple[int, int]], *, raw: bool = False
) -> Run:
    """20 s of pictures through a pair of programs; network, writer and reader are no part of their CPU time."""
    os.mkfifo(folder / "in")
    with ExitStack() as stack:
        stack.enter_context(peers.Process(proxy(maps, "--delay", DELAY), folder, "proxy")).wait_for_text("ready")
        receiver = stack.enter_context(Program(receive, folder / "receiver.log", read=True))
        reader = Reader(receiver.output(), raw=raw)
        receiver.wait_for_port(maps[0][1])
        sender = stack.enter_context(Program(send, folder / "sender.log"))
        feeder = Feeder(folder / "in", SECONDS * FPS, raw=raw)
        feeder.join(SECONDS + 20)
        sender_cpu = sender.end()
        if raw:
            time.sleep(1)
            receiver.interrupt()
        receiver_cpu = receiver.end()
        reader.join(5)
    return Run(delays(feeder, reader), sender_cpu, receiver_cpu, len(reader.read))


def test_delay(tmp_path: Path) -> None:
    peers.need("ffmpeg")
    print(f"\n{SECONDS} s of {WIDTH}x{HEIGHT} at {FPS} pictures a second, {DELAY} ms one way, {ROUNDS} rounds:")
    found: dict[str, list[Run]] = {"steadycast": [], "ffmpeg": []}
    for number in range(ROUNDS):
        for name, way in (("steadycast", ours), ("ffmpeg", ffmpeg)):
            run = way(tmp_path / f"{name}-{number}")
            found[name].append(run)
            show(name, run.delays)
            print(f"{'':28} CPU {run.sender_cpu:.2f} s sender, {run.receiver_cpu:.2f} s receiver")
    median, theirs = (middle(float(np.median(run.delays)) for run in runs) for runs in found.values())
    own = found["steadycast"]
    high = middle(float(np.percentile(run.delays, 95)) for run in own)
    cpu = middle(run.sender_cpu + run.receiver_cpu for run in own)
    print(f"median round: {median:.1f} ms, p95 {high:.1f} ms, CPU {cpu:.2f} s; {median / theirs:.2f} x ffmpeg's delay")
    assert all(run.pictures == FPS * SECONDS for run in own)
    assert median <= MEDIAN
    assert high <= HIGH
    assert cpu <= CPU


def middle(values: Iterable[float]) -> float:
    """What else the machine does may spoil a round."""
    return float(np.median(list(values)))
