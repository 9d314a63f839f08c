"""What a session must know of a stream before its first access unit."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class StreamConfig:
    """One SSRC to one destination."""

    media: Literal["audio", "video", "load"]
    encoding: str
    """RTP encoding name: H264, VP8, JPEG, opus, L16, PCMU, PCMA, x-steadycast-load."""
    payload_type: int
    clock_rate: int
    """ticks per second."""
    ssrc: int
    frame_interval: int
    """ns between access units, as announced; 0: of no account, each leaves at once."""
    bitrate: int
    """bits per second, as asked for; RTCP takes its share of it."""
    channels: int = 1
    parameters: Mapping[str, str] = field(default_factory=dict)
    """format parameters (the SDP's fmtp)."""
    rtx_payload_type: int | None = None
    """of retransmissions; None: there are none."""
    rtx_ssrc: int = 0
    fec_ssrc: int | None = None
    """of Reed–Solomon repair packets; None: nothing is sent ahead of need."""
    rtp_path: Hashable = None
    rtcp_path: Hashable = None
    """opaque: where the transport sends RTP and RTCP."""
