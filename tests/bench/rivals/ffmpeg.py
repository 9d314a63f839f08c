"""FFmpeg at both ends: plain RTP, and MPEG-TS over SRT and over RIST."""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Callable
from functools import partial

from tests.bench.rivals.contract import GROUP, PACKET, Peer, Plan, Stage, program, said
from tests.support import peers
from tests.support.live import FPS, HEIGHT, WIDTH

QUIET = ("ffmpeg", "-hide_banner", "-nostats", "-loglevel", "warning")
QUICK = ("-flags", "low_delay", "-probesize", 32, "-analyzeduration", 0, "-threads", 1)
"""nothing waits that an option can hurry. Not `nobuffer`: that throws away what was read while probing."""
X264 = "libx264 ultrafast zerolatency, key frame every 2 s"


def encoded(stage: Stage) -> tuple[object, ...]:
    """From the FIFO of raw pictures to H.264; the same rate control for every system that runs x264."""
    raw = ("-f", "rawvideo", "-pix_fmt", "yuv420p", "-video_size", f"{WIDTH}x{HEIGHT}", "-framerate", FPS)
    codec = ("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-profile:v", "baseline")
    rate = ("-b:v", stage.bitrate, "-maxrate", stage.bitrate, "-bufsize", stage.bitrate * 6 // 10)
    return (*raw, "-i", stage.pictures, *codec, "-threads", 1, *rate, "-g", GROUP, "-sc_threshold", 0)


def shown(stage: Stage) -> tuple[object, ...]:
    """Raw pictures as they are decoded."""
    output = ("-an", "-fps_mode", "passthrough", "-pix_fmt", "yuv420p", "-threads", 1, "-flush_packets", 1)
    return (*output, "-f", "rawvideo", "-y", stage.screen)


def rtp(stage: Stage) -> Plan:
    """RTP as FFmpeg has it: no feedback, no repair, a queue that waits for stragglers."""
    front, rear = peers.free_ports(2), peers.free_ports(2)
    description = stage.folder / "ffmpeg.sdp"
    description.write_text(
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\n"
        f"m=video {rear} RTP/AVP 96\na=rtpmap:96 H264/90000\na=fmtp:96 packetization-mode=1\n"
    )
    patient = ("-reorder_queue_size", 500, "-max_delay", 150_000, "-buffer_size", 4_000_000)
    listen = ("-protocol_whitelist", "file,udp,rtp", *QUICK, *patient, "-i", description)
    target = f"rtp://127.0.0.1:{front}?pkt_size={PACKET}"
    return Plan(
        maps=[(front + i, rear + i) for i in range(2)],
        receiver=[*QUIET, *listen, *shown(stage)],
        sender=[*QUIET, *encoded(stage), "-payload_type", 96, "-f", "rtp", target],
    )


def transport_stream(stage: Stage, target: str, source: str) -> Plan:
    """MPEG-TS over a protocol of FFmpeg's; both addresses have a place for the port."""
    front, rear = peers.free_ports(2), peers.free_ports(2)
    mux = ("-f", "mpegts", "-omit_video_pes_length", 0, "-muxdelay", 0, "-muxpreload", 0, "-flush_packets", 1)
    return Plan(
        maps=[(front, rear)],
        receiver=[*QUIET, *QUICK, "-f", "mpegts", "-i", source.format(rear), *shown(stage)],
        sender=[*QUIET, *encoded(stage), *mux, target.format(front)],
    )


def srt(latency: int) -> Peer:
    """SRT in live mode with this latency in ms."""
    address = f"srt://127.0.0.1:{{}}?transtype=live&latency={latency}000&mode="
    return Peer(
        f"srt-{latency}", f"MPEG-TS over SRT live mode, latency {latency} ms, FFmpeg at both ends, {X264}",
        partial(transport_stream, target=f"{address}caller&pkt_size=1316", source=f"{address}listener"),
        lambda: f"libsrt {_srt_version()}, FFmpeg {_version()}", _protocol("srt"),
    )  # fmt: skip


def rist(latency: int) -> Peer:
    """RIST, main profile, with this buffer in ms."""
    address = f"127.0.0.1:{{}}?buffer={latency}"
    return Peer(
        f"rist-{latency}", f"MPEG-TS over RIST main profile, buffer {latency} ms, FFmpeg at both ends, {X264}",
        partial(transport_stream, target=f"rist://{address}", source=f"rist://@{address}"),
        lambda: f"librist {_rist_version()}, FFmpeg {_version()}", _protocol("rist"),
    )  # fmt: skip


def _protocol(name: str) -> Callable[[], str | None]:
    def missing() -> str | None:
        absent = program("ffmpeg")()
        known = absent or name in said("ffmpeg", "-hide_banner", "-protocols").split()
        return absent or (None if known else f"this FFmpeg knows no {name}")

    return missing


def _version() -> str:
    return said("ffmpeg", "-version").split()[2]


def _srt_version() -> str:
    name = ctypes.util.find_library("srt-gnutls") or ctypes.util.find_library("srt")
    if name is None:
        return "of unknown version"
    number = ctypes.CDLL(name).srt_getversion()
    return f"{number >> 16}.{number >> 8 & 0xFF}.{number & 0xFF}"


def _rist_version() -> str:
    name = ctypes.util.find_library("rist")
    if name is None:
        return "of unknown version"
    version = ctypes.CDLL(name).librist_version
    version.restype = ctypes.c_char_p
    return str(version().decode())


PEERS = [
    srt(150),
    srt(90),
    rist(150),
    Peer(
        "ffmpeg-rtp", f"RTP, reordering queue of 150 ms, no repair, {X264}", rtp, lambda: f"FFmpeg {_version()}",
        program("ffmpeg"),
    ),
]  # fmt: skip
