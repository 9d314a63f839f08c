"""What flows through the sender, stage by stage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av import VideoFrame


@dataclass(frozen=True, slots=True)
class Picture:
    """One captured picture."""

    frame: VideoFrame
    """PyAV frame, any pixel format."""
    capture_time: int
    """monotonic ns at which it was captured (file: at which it is due)."""
    media_time: int
    """ns since its source began, from the source's own timestamps; never goes back, also across --loop."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A block of captured samples."""

    samples: NDArray[np.float32]
    """shape (frames, channels), -1 to 1."""
    capture_time: int
    """monotonic ns of the first sample."""
    position: int
    """sample frames since the source began; a jump says that samples are missing."""


@dataclass(frozen=True, slots=True)
class AccessUnit:
    """One encoded picture, or one audio packet's worth of sound."""

    data: bytes
    """H.264: Annex B; JPEG: the JFIF file; VP8: the frame; audio: the codec's bytes."""
    timestamp: int
    """RTP clock ticks since the source began, not wrapped; the session adds its random offset."""
    capture_time: int
    """monotonic ns."""
    key_frame: bool = True


class VideoSource(Protocol):
    """Pictures, paced: `read` returns each when it is due."""

    width: int
    height: int
    frame_rate: Fraction

    def read(self) -> Picture | None:
        """Blocks for the next picture; None at the end. Raises ResourceError when the source fails for good."""

    def close(self) -> None: ...


class AudioSource(Protocol):
    """Sound, paced: `read` returns each block when it is due."""

    rate: int
    channels: int

    def read(self) -> Sound | None:
        """Blocks for the next block of about 10 ms; None at the end."""

    def close(self) -> None: ...


class EncodedSource(Protocol):
    """Access units that need no encoder (`--video-codec copy`)."""

    encoding: str
    width: int
    height: int
    frame_rate: Fraction
    format_parameters: dict[str, str]

    def read(self) -> AccessUnit | None: ...

    def close(self) -> None: ...


class VideoEncoder(Protocol):
    encoding: str
    """RTP encoding name: H264, VP8, JPEG."""
    format_parameters: dict[str, str]
    """fmtp of the SDP; H.264's sprop-parameter-sets and profile-level-id are known at once."""

    def encode(self, picture: Picture) -> list[AccessUnit]: ...

    def request_key_frame(self) -> None:
        """The next picture will be decodable alone. Safe from any thread."""

    def set_bitrate(self, bits_per_second: int) -> None: ...

    def close(self) -> None: ...


class AudioEncoder(Protocol):
    encoding: str
    """opus, L16, PCMU, PCMA."""
    clock_rate: int
    channels: int
    """as in the RTP map: 2 for opus always."""
    packet_time: int
    """ns of sound in an access unit."""
    format_parameters: dict[str, str]

    expect_loss: Callable[[float], None]
    """Tells it the share of packets, 0 to 1, that the path loses; from any thread."""

    def encode(self, sound: Sound) -> list[AccessUnit]: ...

    def flush(self) -> list[AccessUnit]:
        """The last packets, when the sound has ended."""

    def close(self) -> None: ...
