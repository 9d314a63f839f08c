"""Sources → encoders → one session a destination → sockets, until the media end, `--duration` is over, or Ctrl-C."""

from __future__ import annotations

import base64
import random
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from protocol.errors import FatalError, NoPeerError
from protocol.payload import registry
from sender.capture.rate import RateLimit
from sender.config import Load, SenderConfig
from sender.description import describe, write_description
from sender.encode.audio import open_audio_encoder
from sender.encode.video import open_video_encoder
from sender.feed import Feed, Outbox
from sender.load import begin
from sender.media import AudioEncoder, AudioSource, EncodedSource, VideoSource
from sender.network import Network
from sender.paths import TargetPaths
from sender.programme import Programme
from sender.report import report
from sender.session import SenderSession
from sender.snapshot import Snapshot
from sender.sources import Sources, frame_rate, open_sources
from sender.transmit.stream import StreamConfig
from sender.transport import Transport

_SECOND = 1_000_000_000
_SWITCH_INTERVAL_S = 0.0005
"""How long Python lets a busy thread keep the network thread waiting."""
_LOOK_S = 0.1
"""How often the calling thread looks whether something has ended; the network thread does not wait for it."""
_FAREWELL_S = 6.0
"""more than transmit.farewell ever takes."""
_OTHER_PAYLOAD_TYPE = 118
"""for a format without one of its own: the receiver needs the SDP or --map."""
_VIDEO_CLOCK_RATE = 90_000

Log = Callable[[str], None]


def run(
    config: SenderConfig, *, log: Log, status: Callable[[Snapshot], None] | None, stop: threading.Event
) -> tuple[int, dict[str, Any]]:
    """Send until the end; returns (exit code, JSON report). `status` gets a snapshot each second, `stop` ends cleanly.

    Raises FatalError for what can be seen before the first packet: names, devices, files, codecs, ports.
    """
    switch_interval = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    try:
        transport = Transport(config)
        try:
            return _run(config, transport, log, status, stop)
        finally:
            transport.close()
    finally:
        sys.setswitchinterval(switch_interval)


def _run(
    config: SenderConfig,
    transport: Transport,
    log: Log,
    status: Callable[[Snapshot], None] | None,
    stop: threading.Event,
) -> tuple[int, dict[str, Any]]:
    if config.load is not None:
        return _run_load(config, config.load, transport, log, status, stop)
    try:
        sources = open_sources(config, log, stop)
    except FatalError:
        if stop.is_set():
            return 0, report(Snapshot(0.0), config.given, None)
        raise
    try:
        plan = _plan(config, sources, log)
        network = _connect(config, transport, plan, log)
    except BaseException:
        sources.close()
        raise
    feeds = [feed for feed, _ in plan]
    try:
        _watch(network, config.duration, status, stop)
    finally:
        for feed in feeds:
            feed.stop()
        network.close()
        network.finished.wait(_FAREWELL_S)
        for feed in feeds:
            feed.join(1.0)
    return _outcome(config, network)


def _run_load(
    config: SenderConfig,
    load: Load,
    transport: Transport,
    log: Log,
    status: Callable[[Snapshot], None] | None,
    stop: threading.Event,
) -> tuple[int, dict[str, Any]]:
    network, sessions = begin.connect(config, load, transport, log)
    try:
        _watch(network, config.duration, status, stop)
    finally:
        network.close()
        network.finished.wait(_FAREWELL_S)
    return begin.conclude(load, sessions, *_outcome(config, network))


def _watch(
    network: Network, duration: int | None, status: Callable[[Snapshot], None] | None, stop: threading.Event
) -> None:
    """Until something ends: the caller's `stop`, the time, or the media."""
    next_status = time.monotonic_ns() + _SECOND
    deadline = None if duration is None else time.monotonic_ns() + duration
    while not network.finished.is_set():
        now = time.monotonic_ns()
        if deadline is not None and now >= deadline:
            return
        if status is not None and now >= next_status:
            next_status += _SECOND
            status(network.snapshot)
        if stop.wait(_LOOK_S if deadline is None else min(_LOOK_S, (deadline - now) / _SECOND)):
            return


def _outcome(config: SenderConfig, network: Network) -> tuple[int, dict[str, Any]]:
    snapshot = network.snapshot
    error, exit_code = network.error, 1
    if error is None and snapshot.targets and not any(target.reached for target in snapshot.targets):
        names = ", ".join(target.name for target in snapshot.targets)
        error, exit_code = f"nobody listens at {names}: start `python -m receiver` there first", NoPeerError.exit_code
    if error is None and snapshot.sources and all(source.error for source in snapshot.sources):
        error = "; ".join(source.error for source in snapshot.sources if source.error)
    return (exit_code if error else 0), report(snapshot, config.given, error)


# What is sent


def _plan(config: SenderConfig, sources: Sources, log: Log) -> list[tuple[Feed[Any], StreamConfig]]:
    """A feed for each source, and its stream but for SSRC and paths."""
    plan: list[tuple[Feed[Any], StreamConfig]] = []
    if sources.encoded is not None:
        plan.append(_plan_copy(config, sources.encoded, log))
    if sources.video is not None:
        plan.append(_plan_video(config, sources.video, log))
    if sources.audio is not None:
        plan.append(_plan_audio(config, sources.audio, log))
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


def _plan_audio(config: SenderConfig, source: AudioSource, log: Log) -> tuple[Feed[Any], StreamConfig]:
    encoder = open_audio_encoder(config.audio_codec, source.rate, source.channels, config.audio_bitrate)
    payload_type = _payload_type(encoder.encoding, encoder.clock_rate, encoder.channels)
    if payload_type == _OTHER_PAYLOAD_TYPE and config.sdp is None:
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


# Where it is sent


def _connect(
    config: SenderConfig, transport: Transport, plan: Sequence[tuple[Feed[Any], StreamConfig]], log: Log
) -> Network:
    """Sessions for all targets, and the threads that feed them, running."""
    now, wall = time.monotonic_ns(), time.time_ns()
    numbers = random.Random()
    cname = base64.b64encode(numbers.randbytes(12)).decode()  # RFC 7022 §4.2: short-term persistent
    forms = [stream for _, stream in plan]
    streams = [_address(forms, target, numbers, repair=config.repair.kind != "none") for target in transport.targets]
    if config.sdp is not None:
        _describe(config, transport.targets, streams, cname, wall, log)
    sessions = [
        SenderSession(
            each,
            cname=cname,
            now=now,
            wall=wall,
            random=numbers,
            max_datagram=config.max_datagram,
            repair=config.repair.kind,
            fec=config.repair.fec,
            from_target=target.comes_from,
        )
        for each, target in zip(streams, transport.targets, strict=True)
    ]
    feeds = [feed for feed, _ in plan]
    outbox = Outbox(len(feeds), transport.wake)
    network = Network(
        transport, Programme(outbox, feeds), start=now, log=log, verbose=bool(config.verbose),
        report=lambda snapshot: report(snapshot, config.given, None),
    )  # fmt: skip
    for target, session in zip(transport.targets, sessions, strict=True):
        network.add(target, session, range(len(feeds)))
    network.start()
    for index, feed in enumerate(feeds):
        feed.start(outbox, index)
    return network


def _address(
    forms: Sequence[StreamConfig], target: TargetPaths, numbers: random.Random, *, repair: bool
) -> list[StreamConfig]:
    """The streams of one target: each with an SSRC of its own (RFC 3550 §8), one for its retransmissions, and
    one for repair packets: not to a group, in which others may listen who never said what they take."""
    ssrcs = iter(numbers.sample(range(1, 1 << 32), 3 * len(forms)))
    of = {apt: payload_type for payload_type, apt in registry.DEFAULT_RTX_PAYLOAD_TYPES.items()}
    return [
        replace(
            form, ssrc=next(ssrcs), rtp_path=target.rtp(form.media), rtcp_path=target.rtcp(form.media),
            rtx_payload_type=of.get(form.payload_type) if repair else None, rtx_ssrc=next(ssrcs),
            fec_ssrc=next(ssrcs) if repair and not target.multicast else None,
        )
        for form in forms
    ]  # fmt: skip


def _describe(
    config: SenderConfig,
    targets: Sequence[TargetPaths],
    streams: Sequence[Sequence[StreamConfig]],
    cname: str,
    wall: int,
    log: Log,
) -> None:
    assert config.sdp is not None
    description = describe(targets[0], streams[0], cname=cname, ttl=config.ttl, session_id=wall // _SECOND)
    write_description(config.sdp, description)
    if not config.targets[0].classical and len(streams[0]) > 1:
        log(f"{config.sdp}: ffplay and GStreamer cannot take two streams on one port; send to rtp://HOST:PORT for them")
    if len(targets) > 1:
        log(f"{config.sdp} describes what goes to {targets[0].name}")
