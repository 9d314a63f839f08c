"""What is sent: a feed for each source, and what its stream is like."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from protocol.payload import registry
from sender.capture.rate import RateLimit
from sender.config import SenderConfig
from sender.encode.audio import open_audio_encoder
from sender.encode.video import open_video_encoder
from sender.feed import Feed
from sender.media import AudioEncoder, AudioSource, EncodedSource, VideoSource
from sender.sources import Sources, frame_rate
from sender.transmit.stream import StreamConfig

_SECOND = 1_000_000_000
_OTHER_PAYLOAD_TYPE = 118
"""for a format without one of its own: the receiver needs the SDP or --map."""
_VIDEO_CLOCK_RATE = 90_000

Log = Callable[[str], None]
Plan = list[tuple[Feed[Any], StreamConfig]]


def make(config: SenderConfig, sources: Sources, log: Log, *, described: bool) -> Plan:
    """A feed for each source, and its stream but for SSRC and paths. `described`: receivers are told what payload types
    mean."""
    plan: Plan = []
    if sources.encoded is not None:
        plan.append(_plan_copy(config, sources.encoded, log))
    if sources.video is not None:
        plan.append(_plan_video(config, sources.video, log))
    if sources.audio is not None:
        plan.append(_plan_audio(config, sources.audio, log, described))
    return plan


def _plan_video(config: SenderConfig, source: VideoSource, log: Log) -> tuple[Feed[Any], StreamConfig]:
    wanted = frame_rate(config)
    limited = RateLimit(source, wanted) if wanted is not None and wanted < source.frame_rate else source
    width, height = config.size or (source.width, source.height)
    encoder = open_video_encoder(config.video_codec, width, height, limited.frame_rate, config.video_bitrate)
    feed = Feed(
        "video",
        limited.read,
        encoder.encode,
        limited.close,
        request_key_frame=encoder.request_key_frame,
        rate=(config.video_bitrate, encoder.set_bitrate),
        skipped=lambda: _left_out(source),
        finish=encoder.close,
        log=log,
    )
    return feed, _video_stream(config, encoder.encoding, encoder.format_parameters, limited.frame_rate)


def _plan_copy(config: SenderConfig, source: EncodedSource, log: Log) -> tuple[Feed[Any], StreamConfig]:
    feed = Feed("video", source.read, lambda unit: [unit], source.close, log=log)
    return feed, _video_stream(config, source.encoding, source.format_parameters, source.frame_rate)


def _video_stream(config: SenderConfig, encoding: str, parameters: dict[str, str], rate: Fraction) -> StreamConfig:
    return StreamConfig(
        media="video",
        encoding=encoding,
        payload_type=_payload_type(encoding, _VIDEO_CLOCK_RATE, 1),
        clock_rate=_VIDEO_CLOCK_RATE,
        ssrc=0,
        frame_interval=int(_SECOND / rate),
        bitrate=config.video_bitrate,
        parameters=parameters,
    )


def _plan_audio(config: SenderConfig, source: AudioSource, log: Log, described: bool) -> tuple[Feed[Any], StreamConfig]:
    encoder = open_audio_encoder(config.audio_codec, source.rate, source.channels, config.audio_bitrate)
    payload_type = _payload_type(encoder.encoding, encoder.clock_rate, encoder.channels)
    if payload_type == _OTHER_PAYLOAD_TYPE and not described:
        form = f"{encoder.encoding}/{encoder.clock_rate}/{encoder.channels}"
        log(f"the receiver needs --map {payload_type}={form}, or the SDP that --sdp FILE writes here")
    stream = StreamConfig(
        media="audio",
        encoding=encoder.encoding,
        payload_type=payload_type,
        clock_rate=encoder.clock_rate,
        ssrc=0,
        frame_interval=encoder.packet_time,
        bitrate=_audio_bitrate(config, encoder),
        channels=encoder.channels,
        parameters=encoder.format_parameters,
    )
    feed = Feed(
        "audio",
        source.read,
        encoder.encode,
        source.close,
        expect_loss=encoder.expect_loss,
        skipped=lambda: _left_out(source),
        flush=encoder.flush,
        finish=encoder.close,
        log=log,
    )
    return feed, stream


def _audio_bitrate(config: SenderConfig, encoder: AudioEncoder) -> int:
    if encoder.encoding == "opus":
        return config.audio_bitrate
    return encoder.clock_rate * encoder.channels * (16 if encoder.encoding == "L16" else 8)


def _left_out(source: object) -> int:
    """What a source counts as skipped or dropped, where it does."""
    return sum(int(getattr(source, name, 0)) for name in ("skipped", "dropped"))


def _payload_type(encoding: str, clock_rate: int, channels: int) -> int:
    for payload_type, known in registry.DEFAULT_PAYLOAD_TYPES.items():
        if known[:3] == (encoding, clock_rate, channels):
            return payload_type
    return _OTHER_PAYLOAD_TYPE
