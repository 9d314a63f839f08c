"""What flows through the receiver, stage by stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from protocol.payload.load import ENCODING as LOAD

if TYPE_CHECKING:
    from av import VideoFrame

_MEDIA = {"H264": "video", "VP8": "video", "JPEG": "video", LOAD.upper(): "load"}


@dataclass(frozen=True, slots=True)
class Format:
    """What a payload type means: an rtpmap and fmtp of SDP (RFC 8866 §6.6), or a row of the default map."""

    encoding: str
    """H264, VP8, JPEG, opus, L16, PCMU, PCMA: compared without case."""
    clock_rate: int
    channels: int = 1
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def media(self) -> str:
        """ "video", "audio", or "load": packets that only measure."""
        return _MEDIA.get(self.encoding.upper(), "audio")


@dataclass(frozen=True, slots=True)
class StreamKey:
    """One numbering of one source: a restart, or a jump nobody can explain, is a new epoch."""

    ssrc: int
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class AccessUnit:
    """One frame's payload put together again, or the place of one that is missing."""

    stream: StreamKey
    format: Format
    data: bytes
    """b"" where nothing of it came in time."""
    timestamp: int
    """RTP ticks, unwrapped."""
    playout_time: int
    """monotonic ns at which it should be handed to the device; a later unit of the same stream may have a
    mapping that moved a little (target, skew, lip-sync)."""
    arrival_time: int
    """monotonic ns of its last packet; of a missing one, the moment it was given up."""
    missing: int = 0
    """packets of it that were not there; pictures of which none was there are one empty unit together."""
    duration: int | None = None
    """RTP ticks, where the payload says (audio)."""
    following: bytes | None = None
    """of a missing audio unit: the payload right after it, when it is already here, for Opus in-band FEC."""
    packets: int = 0
    """that it was sent in, as far as they are known of, those missing included; 0: nobody knows."""


@dataclass(frozen=True, slots=True)
class Image:
    """A decoded picture."""

    frame: VideoFrame
    """PyAV frame, yuv420p or yuvj420p."""
    timestamp: int
    playout_time: int
    arrival_time: int
    damaged: bool = False
    """decoded from an incomplete unit, or from damaged references."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Decoded sound."""

    samples: NDArray[np.float32]
    """shape (frames, channels)."""
    rate: int
    timestamp: int
    playout_time: int
    """of the first sample."""
    concealed: bool = False
    repeated: bool = False
    """concealed by what was heard before it, as a timeline that has run out does for itself: not worth a wait."""


@dataclass(frozen=True, slots=True)
class VideoPlayoutStatistics:
    """Cumulative, one video stream after the jitter buffer (names as in webrtc-stats where the meaning is)."""

    frames_received: int = 0
    """access units that came out of the jitter buffer with data."""
    frames_decoded: int = 0
    frames_rendered: int = 0
    dropped_network: int = 0
    """frames of which nothing could be decoded because packets were missing."""
    dropped_late: int = 0
    """decoded too late to be shown."""
    dropped_decode: int = 0
    """the decoder refused them, or waited for a key frame."""
    dropped_display: int = 0
    """a newer one was there before the display took it."""
    damaged: int = 0
    """shown, though something of it, or of what it was predicted from, was missing."""
    held: int = 0
    """decoded, but so badly damaged that the picture before stayed."""
    recovery_p50_ms: float | None = None
    recovery_p95_ms: float | None = None
    """from the first picture missing or damaged to the next clean one; None: nothing was."""
    freeze_count: int = 0
    total_freezes_duration_s: float = 0.0
    width: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True)
class AudioPlayoutStatistics:
    """Cumulative, one audio stream after the jitter buffer (names as in webrtc-stats where the meaning is)."""

    total_samples_received: int = 0
    """sample frames handed to the device, concealed ones included."""
    concealed_samples: int = 0
    silent_concealed_samples: int = 0
    concealment_events: int = 0
    inserted_samples_for_deceleration: int = 0
    removed_samples_for_acceleration: int = 0
    underruns: int = 0
    """device callbacks that PortAudio called too late."""
    fec_recovered_samples: int = 0
    """rebuilt from Opus in-band FEC; part of concealed_samples."""
    device_latency_s: float | None = None
    """reported by the sound card; None without one."""
    rate: int = 0
    channels: int = 0
