"""FFmpeg's command lines as a sender and as a receiver of RTP."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

FFMPEG = ("ffmpeg", "-hide_banner", "-nostats", "-loglevel", "warning", "-y")
VIDEO = {
    "h264": "-c:v libx264 -preset veryfast -tune zerolatency -profile:v baseline -pix_fmt yuv420p -b:v 1500k "
    "-maxrate 1500k -bufsize 750k -g 25 -payload_type 96",
    "vp8": "-c:v libvpx -deadline realtime -cpu-used 8 -lag-in-frames 0 -b:v 1500k -g 25 -payload_type 98",
    "jpeg": "-c:v mjpeg -huffman default -force_duplicated_matrix 1 -pix_fmt yuvj420p -q:v 4 -payload_type 26",
}
AUDIO = {
    "opus": "-c:a libopus -b:a 64k -application audio -frame_duration 20 -payload_type 97",
    "l16": "-c:a pcm_s16be -ar 48000 -ac 1 -payload_type 99",
    "pcmu": "-c:a pcm_mulaw -ar 8000 -ac 1 -payload_type 0",
}


def send(clip: Path, port: int, sdp: Path, video: str | None, audio: str | None, *extra: str) -> list[object]:
    """Sends the clip in real time, video to `port` and audio to `port` + 2, and describes it in `sdp`."""
    command: list[object] = [*FFMPEG, "-re", "-i", clip, *extra]
    if video is not None:
        command += ["-map", "0:v", *VIDEO[video].split(), *extra, "-f", "rtp", target(port)]
    if audio is not None:
        command += ["-map", "0:a", *AUDIO[audio].split(), *extra, "-f", "rtp", target(port + 2)]
    return [*command, "-sdp_file", sdp]


def target(port: int) -> str:
    """Where a stream goes."""
    return f"rtp://127.0.0.1:{port}?pkt_size=1200"


def receive(sdp: Path, pictures: Path | None, sound: Path | None) -> list[object]:
    """Writes what comes to files, until every stream has said BYE."""
    inputs: Sequence[object] = ("-protocol_whitelist", "file,udp,rtp", "-reorder_queue_size", "50", "-i", sdp)
    command: list[object] = [*FFMPEG, *inputs]
    if pictures is not None:
        command += ["-map", "0:v", "-fps_mode", "passthrough", "-pix_fmt", "yuv420p"]
        command += ["-f", "yuv4mpegpipe", pictures]
    if sound is not None:
        command += ["-map", "0:a", "-c:a", "pcm_s16le", sound]
    return command
