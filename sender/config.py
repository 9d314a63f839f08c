"""Everything the sender was asked to do, already checked: what the command line makes and the pipeline reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from protocol.command.repair import AUTO, Repair
from protocol.command.security import Security
from protocol.rtsp.url import Url

if TYPE_CHECKING:
    from protocol.key_file import KeyFile


@dataclass(frozen=True, slots=True)
class Target:
    """One destination."""

    host: str
    port: int
    classical: bool = False
    """rtp://: video on `port`, audio on `port` + 2, RTCP one above each. Otherwise all on `port` (RFC 5761)."""
    url: Url | None = None
    """rtsp[s]://: announced there."""
    encryption: Literal["no", "try", "must"] = "no"
    """whether it is asked for a secret conversation before."""


@dataclass(frozen=True, slots=True)
class Load:
    """Packets that measure, instead of media."""

    rate: int | None
    """bit/s of UDP payload; None: the highest that the path carries is searched for."""
    maximum: int = 2_000_000_000
    """bit/s at which a search ends."""
    pattern: Literal["cbr", "video", "voip"] = "cbr"
    packet_size: int | None = None
    """bytes of UDP payload; None: what suits the pattern."""
    fps: float | None = None
    """pictures a second of the pattern video; None: 30."""
    loss_bound: float = 0.01
    """share of packets that may be lost at the rate searched for."""


@dataclass(frozen=True, slots=True)
class SenderConfig:
    targets: tuple[Target, ...]
    audio: str = "mic"
    """mic, mic:NAME, tone, none, or a file's path."""
    audio_codec: str = "opus"
    audio_bitrate: int = 64_000
    video: str = "camera"
    """camera, camera:WHICH, pattern, none, - (YUV4MPEG2 on stdin), or the path of a file or FIFO."""
    video_codec: str = "h264"
    video_bitrate: int = 2_000_000
    size: tuple[int, int] | None = None
    """None: the source's own; pattern: 1280x720."""
    fps: float | None = None
    """None: the source's own; pattern: 30."""
    loop: bool = False
    start: int = 0
    """ns from the beginning of a file at which it begins."""
    load: Load | None = None
    """instead of audio and video."""
    repair: Repair = AUTO
    """auto: for receivers that announced that they take it."""
    sdp: str | None = None
    """write the description of what is sent to this file."""
    duration: int | None = None
    """ns; None: until the end of the sources, or Ctrl-C."""
    bind: str | None = None
    interface: str | None = None
    ttl: int = 1
    """of multicast; unicast keeps the system's."""
    dscp: int | None = None
    rtcp_to: tuple[str, int] | None = None
    key_file: KeyFile | None = None
    """None: plain RTP is not encrypted."""
    family: int = 0
    """4, 6, or 0 for either."""
    max_datagram: int = 1200
    """bytes of UDP payload."""
    security: Security = field(default_factory=Security)
    """whom servers have to be."""
    json: bool = False
    """the report goes to stdout."""
    json_stream: bool = False
    """a line each second goes to stdout, and the report as the last."""
    dashboard: str | None = None
    """where it is served as a web page; empty: it is drawn in the terminal."""
    quiet: bool = False
    verbose: int = 0
    """above 0, every event is a line."""
    given: dict[str, object] = field(default_factory=dict)
    """the options as given, for the report's `configuration`."""
