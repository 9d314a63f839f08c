"""FFmpeg's command lines as a sender and as a receiver of RTP."""

from __future__ import annotations

from pathlib import Path

FFMPEG = ("ffmpeg", "-hide_banner", "-nostats", "-loglevel", "warning", "-y")
VIDEO = {
    "h264": "-c:v libx264 -preset veryfast -tune zerolatency -profile:v baseline -pix_fmt yuv420p -b:v 1500k "
    "-maxrate 1500k -bufsize 750k -g 25",
    "vp8": "-c:v libvpx -deadline realtime -cpu-used 8 -lag-in-frames 0 -b:v 1500k -g 25",
    "jpeg": "-c:v mjpeg -huffman default -force_duplicated_matrix 1 -pix_fmt yuvj420p -q:v 4",
}
PAYLOAD_TYPES = {"h264": "96", "vp8": "98", "jpeg": "26"}
AUDIO = {
    "opus": "-c:a libopus -b:a 64k -application audio -frame_duration 20 -payload_type 97",
    "l16": "-c:a pcm_s16be -ar 48000 -ac 1 -payload_type 99",
    "pcmu": "-c:a pcm_mulaw -ar 8000 -ac 1 -payload_type 0",
}


def encode(clip: Path, video: str, encoded: Path) -> list[object]:
    """Encodes the clip's pictures beforehand: what is sent in time then does not depend on the machine's other work."""
    return [*FFMPEG, "-i", clip, "-map", "0", *VIDEO[video].split(), "-c:a", "copy", encoded]


def send(encoded: Path, port: int, sdp: Path, video: str, audio: str, *extra: str) -> list[object]:
    """Sends an encoded clip in real time, video to `port` and audio to `port` + 2, and describes it in `sdp`."""
    return [
        *(*FFMPEG, "-re", "-i", encoded, *extra),
        *("-map", "0:v", "-c:v", "copy", "-payload_type", PAYLOAD_TYPES[video], *extra, "-f", "rtp", target(port)),
        *("-map", "0:a", *AUDIO[audio].split(), *extra, "-f", "rtp", target(port + 2)),
        *("-sdp_file", sdp),
    ]


def target(port: int) -> str:
    """Where a stream goes."""
    return f"rtp://127.0.0.1:{port}?pkt_size=1200"


def receive(sdp: Path, pictures: Path, sound: Path) -> list[object]:
    """Writes what comes to files, until every stream has said BYE."""
    return [
        *(*FFMPEG, "-protocol_whitelist", "file,udp,rtp", "-reorder_queue_size", "50", "-i", sdp),
        *("-map", "0:v", "-fps_mode", "passthrough", "-pix_fmt", "yuv420p", "-f", "yuv4mpegpipe", pictures),
        *("-map", "0:a", "-c:a", "pcm_s16le", sound),
    ]
