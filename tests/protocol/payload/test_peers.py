"""Payloads from GStreamer and FFmpeg, and payloads for GStreamer: what is decoded must be exact.

GStreamer reads and writes RTP in files here (RFC 4571 framing), so no socket and no clock can lose a packet."""

from __future__ import annotations

import re
import shutil
import socket
import struct
import subprocess
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np
import pytest

from protocol import rtp
from protocol.payload import registry
from protocol.payload.base import Depacketizer
from sender.libraries import av
from tests.protocol.payload import streams

VIDEO = "videotestsrc num-buffers=12 pattern=smpte100 ! video/x-raw,width=320,height=176,framerate=30/1,format=I420"
SOUND = "audiotestsrc num-buffers=25 samplesperbuffer={frames} ! audio/x-raw,rate={rate},channels={channels}"

# encoding: (clock rate, channels, source, encoder, GStreamer's payloader without "rtp" and "pay")
FORMATS = {
    "H264": (90000, 1, VIDEO, "x264enc tune=zerolatency key-int-max=6 sliced-threads=true threads=2", "h264"),
    "VP8": (90000, 1, VIDEO, "vp8enc deadline=1 keyframe-max-dist=6", "vp8"),
    "JPEG": (90000, 1, VIDEO, "jpegenc quality=70", "jpeg"),
    "OPUS": (48000, 2, SOUND.format(frames=960, rate=48000, channels=2), "opusenc", "opus"),
    "L16": (48000, 2, SOUND.format(frames=240, rate=48000, channels=2) + ",format=S16BE", "identity", "L16"),
    "PCMU": (8000, 1, SOUND.format(frames=160, rate=8000, channels=1), "mulawenc", "pcmu"),
    "PCMA": (8000, 1, SOUND.format(frames=160, rate=8000, channels=1), "alawenc", "pcma"),
}


def gstreamer(pipeline: str) -> None:
    if shutil.which("gst-launch-1.0") is None:
        pytest.skip("GStreamer is not installed")
    done = subprocess.run(["gst-launch-1.0", "-q", *pipeline.split()], capture_output=True, timeout=30, check=False)
    if b"no element" in done.stderr:
        pytest.skip(f"a GStreamer plugin is not installed: {done.stderr.decode().splitlines()[0]}")
    assert done.returncode == 0, done.stderr.decode()


def read_framed(path: Path) -> list[rtp.RtpPacket]:
    """RFC 4571: each packet behind its length in 16 bits."""
    data, at, packets = path.read_bytes(), 0, []
    while at < len(data):
        (size,) = struct.unpack_from("!H", data, at)
        packets.append(rtp.parse(data[at + 2 : at + 2 + size]))
        at += 2 + size
    return packets


def frames_of(packets: list[rtp.RtpPacket], depacketizer: Depacketizer) -> list[bytes]:
    out = []
    for _, group in groupby(packets, key=lambda packet: packet.timestamp):
        payloads = [packet.payload for packet in group]
        assert depacketizer.begins(payloads[0])
        out.append(depacketizer.depacketize(payloads))
    return out


def packets_of(file: Path) -> list[bytes]:
    with av.open(str(file)) as container:
        return [bytes(packet) for packet in container.demux() if packet.size]


def pictures_of(file: Path) -> list[streams.Image]:
    with av.open(str(file)) as container:
        return [frame.to_ndarray() for frame in container.decode(video=0)]


@pytest.mark.parametrize("encoding", ["H264", "VP8", "JPEG", "OPUS"])
def test_from_gstreamer(encoding: str, tmp_path: Path) -> None:
    rate, channels, source, encoder, payloader = FORMATS[encoding]
    framed, file = tmp_path / "rtp", tmp_path / "same.mkv"
    gstreamer(
        f"{source} ! {encoder} ! tee name=t t. ! queue ! rtp{payloader}pay mtu=1200 ! rtpstreampay ! "
        f"filesink location={framed} t. ! queue ! matroskamux ! filesink location={file}"
    )
    depacketizer = registry.depacketizer(encoding, rate, channels, {})
    frames = frames_of(read_framed(framed), depacketizer)
    if encoding == "H264":
        assert streams.same(streams.decode("h264", frames), pictures_of(file))
        assert [depacketizer.key_frame(frame) for frame in frames] == [True, *[False] * 5] * 2
    elif encoding == "JPEG":
        for ours, theirs in zip(frames, packets_of(file), strict=True):
            assert np.array_equal(streams.jpeg_pixels(ours), streams.jpeg_pixels(theirs))
    else:
        assert frames == packets_of(file)


@pytest.mark.parametrize("encoding", ["L16", "PCMU", "PCMA"])
def test_samples_from_gstreamer(encoding: str, tmp_path: Path) -> None:
    rate, channels, source, encoder, payloader = FORMATS[encoding]
    framed, file = tmp_path / "rtp", tmp_path / "same.raw"
    gstreamer(
        f"{source} ! {encoder} ! tee name=t t. ! queue ! rtp{payloader}pay ! rtpstreampay ! "
        f"filesink location={framed} t. ! queue ! filesink location={file}"
    )
    depacketizer = registry.depacketizer(encoding, rate, channels, {})
    packets = read_framed(framed)
    assert b"".join(frames_of(packets, depacketizer)) == file.read_bytes()
    steps = [(b.timestamp - a.timestamp) % 2**32 for a, b in pairwise(packets)]
    assert steps == [depacketizer.duration(packet.payload) for packet in packets[:-1]]


def write_framed(path: Path, encoding: str, frames: list[bytes], tick: int, room: int = 1188) -> None:
    rate, channels, *_ = FORMATS[encoding]
    packetizer = registry.packetizer(encoding, rate, channels, {})
    sequence_number, out = 100, bytearray()
    for number, frame in enumerate(frames):
        payloads = packetizer.packetize(frame, room)
        for payload in payloads:
            packet = bytes(rtp.RtpPacket(96, sequence_number, number * tick, 7, payload, payload is payloads[-1]))
            out += struct.pack("!H", len(packet)) + packet
            sequence_number += 1
    path.write_bytes(out)


def through_gstreamer(tmp_path: Path, encoding: str, tail: str) -> None:
    rate, channels, *_, payloader = FORMATS[encoding]
    media = "video" if rate == 90000 else "audio"
    caps = f"application/x-rtp-stream,media={media},encoding-name={encoding},clock-rate={rate},payload=96"
    if media == "audio":
        caps += f",channels={channels}"
    gstreamer(f"filesrc location={tmp_path / 'rtp'} ! {caps} ! rtpstreamdepay ! rtp{payloader}depay ! {tail}")


@pytest.mark.parametrize("options", ["keyint=6", "keyint=6:slices=4", "keyint=6:slice-max-size=400"])
def test_h264_for_gstreamer(options: str, tmp_path: Path) -> None:
    fast = {"preset": "ultrafast", "tune": "zerolatency", "x264-params": options}
    units = streams.encode("libx264", streams.pictures(12), fast)
    write_framed(tmp_path / "rtp", "H264", units, 3000)
    through_gstreamer(tmp_path, "H264", f"h264parse ! avdec_h264 ! filesink location={tmp_path / 'raw'}")
    want = b"".join(image.tobytes() for image in streams.decode("h264", units))
    assert (tmp_path / "raw").read_bytes() == want


def test_vp8_for_gstreamer(tmp_path: Path) -> None:
    units = streams.encode("libvpx", streams.pictures(12), {"deadline": "realtime", "lag-in-frames": "0"})
    write_framed(tmp_path / "rtp", "VP8", units, 3000)
    through_gstreamer(tmp_path, "VP8", f"vp8dec ! filesink location={tmp_path / 'raw'}")
    want = b"".join(image.tobytes() for image in streams.decode("vp8", units))
    assert (tmp_path / "raw").read_bytes() == want


@pytest.mark.parametrize("restart_interval", [0, 20])
@pytest.mark.parametrize("quality", [70, 100])
def test_jpeg_for_gstreamer(restart_interval: int, quality: int, tmp_path: Path) -> None:
    files = [streams.jpeg(picture, quality, restart_interval) for picture in streams.pictures(3)]
    write_framed(tmp_path / "rtp", "JPEG", files, 3000)
    through_gstreamer(tmp_path, "JPEG", f"multifilesink location={tmp_path}/%d.jpg")
    for number, file in enumerate(files):
        theirs = (tmp_path / f"{number}.jpg").read_bytes()
        assert np.array_equal(streams.jpeg_pixels(theirs), streams.jpeg_pixels(file))


@pytest.mark.parametrize("encoding", ["OPUS", "L16", "PCMU", "PCMA"])
def test_sound_for_gstreamer(encoding: str, tmp_path: Path) -> None:
    frames = [bytes([0xFC, *[number] * 79]) for number in range(5)]  # Opus: CELT, 20 ms, stereo
    write_framed(tmp_path / "rtp", encoding, frames, 960)
    through_gstreamer(tmp_path, encoding, f"filesink location={tmp_path / 'raw'}")
    assert (tmp_path / "raw").read_bytes() == b"".join(frames)


def ffmpeg(*arguments: str) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("FFmpeg is not installed")
    command = ["ffmpeg", "-v", "error", "-nostdin", *arguments]
    done = subprocess.run(command, capture_output=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr.decode()


def from_ffmpeg(file: Path) -> tuple[list[rtp.RtpPacket], str]:
    """The packets of a file that FFmpeg sends as it is, and the SDP it writes."""
    sdp = file.with_suffix(".sdp")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as media:
        media.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        media.bind(("127.0.0.1", 0))
        target = f"rtp://127.0.0.1:{media.getsockname()[1]}?pkt_size=1200"
        ffmpeg("-re", "-i", str(file), "-c", "copy", "-sdp_file", str(sdp), "-f", "rtp", target)
        media.setblocking(False)
        packets = []
        while True:
            try:
                packets.append(rtp.parse(media.recv(2048)))
            except BlockingIOError:
                return packets, sdp.read_text()


@pytest.mark.parametrize(
    ("encoding", "options"),
    [
        ("H264", "-c:v libx264 -preset ultrafast -tune zerolatency -g 6 -slices 3"),
        ("VP8", "-c:v libvpx -deadline realtime -g 6 -b:v 2M"),
        ("JPEG", "-c:v mjpeg -huffman default -force_duplicated_matrix 1 -q:v 4 -pix_fmt yuvj420p"),
    ],
)
def test_video_from_ffmpeg(encoding: str, options: str, tmp_path: Path) -> None:
    file = tmp_path / "same.mkv"
    source = "testsrc2=size=320x176:rate=30"
    ffmpeg("-f", "lavfi", "-i", source, "-frames:v", "12", *options.split(), str(file))
    packets, sdp = from_ffmpeg(file)
    found = re.search(r"sprop-parameter-sets=([^;\s]+)", sdp)
    parameters = {"sprop-parameter-sets": found[1]} if found else {}
    depacketizer = registry.depacketizer(encoding, 90000, 1, parameters)
    frames = frames_of(packets, depacketizer)
    assert len(frames) == 12
    codec = {"H264": "h264", "VP8": "vp8", "JPEG": "mjpeg"}[encoding]
    ours = streams.decode(codec, frames, depacketizer.out_of_band())
    assert streams.same(ours, pictures_of(file))
    assert depacketizer.key_frame(frames[6])


@pytest.mark.parametrize(
    ("encoding", "codec", "rate", "channels"),
    [("OPUS", "libopus", 48000, 2), ("L16", "pcm_s16be", 48000, 2), ("PCMU", "pcm_mulaw", 8000, 1)],
)
def test_sound_from_ffmpeg(encoding: str, codec: str, rate: int, channels: int, tmp_path: Path) -> None:
    file = tmp_path / "same.mkv"
    source = f"sine=frequency=440:sample_rate={rate}:duration=0.4"
    ffmpeg("-f", "lavfi", "-i", source, "-ac", str(channels), "-c:a", codec, str(file))
    packets, _ = from_ffmpeg(file)
    depacketizer = registry.depacketizer(encoding, rate, channels, {})
    frames, want = frames_of(packets, depacketizer), packets_of(file)
    assert b"".join(frames) == b"".join(want)
    if encoding == "OPUS":
        assert frames == want
