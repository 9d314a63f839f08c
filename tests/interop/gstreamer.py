"""GStreamer's command lines as a sender and as a receiver of RTP."""

from __future__ import annotations

import re
from pathlib import Path

LAUNCH = ("gst-launch-1.0", "-q", "-e")
ENCODE = {
    "h264": "videoconvert ! x264enc tune=zerolatency speed-preset=veryfast bitrate=1500 key-int-max=25 threads=1 ! "
    "video/x-h264,profile=constrained-baseline ! "
    "rtph264pay pt=96 mtu=1200 config-interval=-1 aggregate-mode=zero-latency",
    "vp8": "videoconvert ! vp8enc deadline=1 cpu-used=8 target-bitrate=1500000 keyframe-max-dist=25 ! "
    "rtpvp8pay pt=98 mtu=1200",
    "jpeg": "videoconvert ! jpegenc quality=85 ! rtpjpegpay pt=26 mtu=1200",
    "opus": "audioconvert ! audioresample ! opusenc bitrate=64000 audio-type=generic ! rtpopuspay pt=97",
    "l16": "audioconvert ! audioresample ! audio/x-raw,rate=48000,channels=1 ! rtpL16pay pt=99 mtu=1200",
    "pcmu": "audioconvert ! audioresample ! audio/x-raw,rate=8000,channels=1 ! mulawenc ! "
    "rtppcmupay pt=0 min-ptime=20000000 max-ptime=20000000",
}
CAPS = {
    "h264": "media=video,clock-rate=90000,encoding-name=H264,payload=96",
    "vp8": "media=video,clock-rate=90000,encoding-name=VP8,payload=98",
    "jpeg": "media=video,clock-rate=90000,encoding-name=JPEG,payload=26",
    "opus": "media=audio,clock-rate=48000,encoding-name=OPUS,payload=97",
    "l16": "media=audio,clock-rate=48000,encoding-name=L16,channels=1,payload=99",
    "pcmu": "media=audio,clock-rate=8000,encoding-name=PCMU,payload=0",
}
DECODE = {
    "h264": "rtph264depay ! avdec_h264",
    "vp8": "rtpvp8depay ! vp8dec",
    "jpeg": "rtpjpegdepay ! jpegdec",
    "opus": "rtpopusdepay ! opusdec plc=true",
    "l16": "rtpL16depay",
    "pcmu": "rtppcmudepay ! mulawdec",
}


def send(clip: Path, port: int, video: str | None, audio: str | None, video_type: int | None = None) -> list[object]:
    """Sends the clip in real time, video to `port` and audio to `port` + 2, without RTCP. `video_type`: another payload
    type than our default one."""
    pipeline = f"filesrc location={clip} ! matroskademux name=d"
    if video is not None:
        encode = ENCODE[video] if video_type is None else re.sub(r"pt=\d+", f"pt={video_type}", ENCODE[video])
        pipeline += f" d.video_0 ! queue ! avdec_ffv1 ! {encode} ! udpsink host=127.0.0.1 port={port}"
    if audio is not None:
        pipeline += f" d.audio_0 ! queue ! {ENCODE[audio]} ! udpsink host=127.0.0.1 port={port + 2}"
    return [*LAUNCH, *pipeline.split()]


def receive(port: int, video: str | None, audio: str | None, pictures: Path, sound: Path) -> list[object]:
    """Writes what comes to `port` and `port` + 2 to files, until it is interrupted."""
    chains = []
    if video is not None:
        to_file = "videoconvert ! video/x-raw,format=I420,colorimetry=bt601 ! y4menc ! filesink sync=false"
        chains.append(f"{_jitter_buffer(port, CAPS[video])} ! {DECODE[video]} ! {to_file} location={pictures}")
    if audio is not None:
        to_file = "audioconvert ! audio/x-raw,format=S16LE,channels=1 ! wavenc ! filesink sync=false"
        chains.append(f"{_jitter_buffer(port + 2, CAPS[audio])} ! {DECODE[audio]} ! {to_file} location={sound}")
    return [*LAUNCH, *" ".join(chains).split()]


def _jitter_buffer(port: int, caps: str) -> str:
    return f"udpsrc address=127.0.0.1 port={port} caps=application/x-rtp,{caps} ! rtpjitterbuffer latency=100"
