"""Which sound belongs to a picture, and which picture to a sound, when only one of the two was asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

_WITHOUT_FILE = {"camera": "mic", "pattern": "tone", "-": "none", "none": "mic"}
_WORDS = ("mic", "tone", "none", "camera", "pattern", "-")


def choose(audio: str | None, video: str | None, has: Callable[[str, str], bool] | None = None) -> tuple[str, str]:
    """(audio, video), completed: a camera goes with the microphone, the pattern with the tone, and a file with itself.

    `has(path, medium)` says whether a file contains "audio" or "video".
    """
    has = contains if has is None else has
    if audio is not None and video is not None:
        return audio, video
    if video is not None:
        return _sound_of(video, has), video
    if audio is not None:
        return audio, _picture_of(audio, has)
    return "mic", "camera"


def is_file(source: str) -> bool:
    """Whether a source is the path of an ordinary file; words, pipes and URLs are not."""
    return source.partition(":")[0] not in _WORDS and Path(source).is_file()


def contains(path: str, medium: str) -> bool:
    """Whether a media file has a stream of "audio" or "video"; False also for what cannot be read."""
    from sender.libraries import av

    try:
        with av.open(path) as container:
            return bool(container.streams.audio if medium == "audio" else container.streams.video)
    except (av.FFmpegError, OSError):
        return False


def _sound_of(video: str, has: Callable[[str, str], bool]) -> str:
    if is_file(video):
        return video if has(video, "audio") else "none"
    return _WITHOUT_FILE.get(video.partition(":")[0], "none")


def _picture_of(audio: str, has: Callable[[str, str], bool]) -> str:
    if is_file(audio):
        return audio if has(audio, "video") else "none"
    pictures = {"mic": "camera", "tone": "pattern", "none": "camera"}
    return pictures.get(audio.partition(":")[0], "none")
