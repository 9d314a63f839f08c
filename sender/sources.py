"""What is asked for with --video and --audio, opened.

A default source (camera, microphone) that is not there costs one line; one that was asked for by name ends the program.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from threading import Event
from typing import TypeVar, cast

from protocol.errors import FatalError, ResourceError, UsageError
from sender.capture.camera import open_camera
from sender.capture.file import open_file
from sender.capture.microphone import open_microphone
from sender.capture.pattern import open_pattern, open_tone
from sender.capture.pipe import is_pipe, open_pipe
from sender.config import SenderConfig
from sender.media import AudioSource, EncodedSource, VideoSource

T = TypeVar("T")
Log = Callable[[str], None]
_PATTERN_SIZE, _PATTERN_RATE = (1280, 720), Fraction(30)


@dataclass(frozen=True, slots=True)
class Sources:
    """At most one of the two kinds of video; at least one of all."""

    video: VideoSource | None = None
    encoded: EncodedSource | None = None
    """with --video-codec copy."""
    audio: AudioSource | None = None

    def close(self) -> None:
        for source in (self.video, self.encoded, self.audio):
            if source is not None:
                source.close()


def open_sources(config: SenderConfig, log: Log, stop: Event) -> Sources:
    """Blocks until every source has said what it is (a FIFO: until a writer comes, or `stop`). Raises FatalError."""
    default_audio = config.audio == "mic" and "audio" not in config.given
    if _is_file(config.video) and (default_audio or config.audio == config.video):
        return _open_one_file(config, log, default_audio)
    video = _attempt(lambda: _open_video(config, log, stop), "video", config, log) or Sources()
    try:
        audio = _attempt(lambda: _open_audio(config, log), "audio", config, log)
    except FatalError:
        video.close()
        raise
    sources = Sources(video.video, video.encoded, audio)
    if sources == Sources():
        raise ResourceError("nothing to send: no camera and no microphone here; try --video pattern --audio tone")
    return sources


def frame_rate(config: SenderConfig) -> Fraction | None:
    """--fps; 29.97 means 2997/100."""
    return None if config.fps is None else Fraction(config.fps).limit_denominator(1001)


def _is_file(name: str) -> bool:
    """Whether FFmpeg reads it: neither device, nor generator, nor pipe."""
    kinds = ("mic", "tone", "camera", "pattern", "none")
    return name not in kinds and not name.startswith(("mic:", "camera:")) and not is_pipe(name)


def _attempt(open_source: Callable[[], T | None], option: str, config: SenderConfig, log: Log) -> T | None:
    """The opened source; None for a default one that is not there."""
    try:
        return open_source()
    except FatalError as error:
        if option in config.given:
            raise
        log(f"no {option}: {error}")
        return None


def _open_one_file(config: SenderConfig, log: Log, default_audio: bool) -> Sources:
    """Video and audio of one file, on one clock; a silent file is fine when nobody asked for its sound."""
    try:
        return _open_file(config.video, config, audio=True)
    except UsageError as error:
        if not default_audio:
            raise
        sources = _open_file(config.video, config)
        log(f"no audio: {error}")
        return sources


def _open_file(path: str, config: SenderConfig, *, audio: bool = False) -> Sources:
    if config.video_codec != "copy":
        opened = open_file(path, video=True, audio=audio, loop=config.loop, start=config.start)
        return Sources(video=cast("VideoSource", opened.video), audio=opened.audio)
    if config.size is not None or config.fps is not None:
        raise UsageError("--video-codec copy keeps size and frame rate: leave out --size and --fps, or use h264")
    opened = open_file(path, video=True, audio=audio, loop=config.loop, copy=True, start=config.start)
    return Sources(encoded=cast("EncodedSource", opened.video), audio=opened.audio)


def _open_video(config: SenderConfig, log: Log, stop: Event) -> Sources | None:
    name, copy = config.video, config.video_codec == "copy"
    kind, _, which = name.partition(":")
    if name == "none":
        return None
    if _is_file(name):
        return _open_file(name, config)
    if copy and kind == "camera" and "://" in which:
        return _open_file(which, config)
    if copy:
        raise UsageError(f"--video-codec copy needs video that is encoded already, and {name} is not: use h264")
    if name == "pattern":
        return Sources(open_pattern(config.size or _PATTERN_SIZE, frame_rate(config) or _PATTERN_RATE))
    if kind == "camera":
        return Sources(open_camera(which or "0", config.size, frame_rate(config), log))
    return Sources(open_pipe(name, stop))


def _open_audio(config: SenderConfig, log: Log) -> AudioSource | None:
    name = config.audio
    kind, _, which = name.partition(":")
    if name == "none":
        return None
    if name == "tone":
        return open_tone()
    if kind == "mic":
        return open_microphone(which or None, log=log)
    return open_file(name, video=False, audio=True, loop=config.loop, start=config.start).audio
