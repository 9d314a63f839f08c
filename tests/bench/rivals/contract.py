"""What a system under test has to say of itself."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PACKET = 1200
"""bytes of an RTP packet."""
GROUP = 60
"""pictures between key frames, for those that have none on request."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What a system is given: pictures to send from one FIFO, another for those it shows."""

    folder: Path
    pictures: Path
    """raw I420 or YUV4MPEG2 in real time, as its `Plan` wants it."""
    screen: Path
    bitrate: int
    """bit/s of the video."""
    sound: Path | None
    """a WAV file to send beside; None: video alone."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Two commands and the ports between them."""

    maps: list[tuple[int, ...]]
    """(listen, target[, origin]) of the proxy."""
    receiver: list[object]
    """is started first."""
    sender: list[object]
    raw: bool = True
    """pictures go in and come out without YUV4MPEG2 around them."""
    binds: bool = True
    """the receiver binds the first target before it hears of the sender."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A system, or one setting of it."""

    name: str
    settings: str
    """one line for the table's foot."""
    plan: Callable[[Stage], Plan]
    version: Callable[[], str]
    missing: Callable[[], str | None]
    """why it cannot run here; None: it can."""
    sound: bool = False
    """it carries sound beside the pictures."""


def program(*names: str) -> Callable[[], str | None]:
    """For `Peer.missing`: these programs must be there."""

    def missing() -> str | None:
        absent = [name for name in names if shutil.which(name) is None]
        return f"{', '.join(absent)} not installed" if absent else None

    return missing


def said(*command: object) -> str:
    """What a program prints on standard output; "" when it fails."""
    words = [str(word) for word in command]
    return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout
