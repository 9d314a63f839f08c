"""What a session tells beside media: facts for the log, the report and the pipeline."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeyFrameRequested:
    """A receiver cannot decode until the next key frame of this stream."""

    stream: int
    why: str


@dataclass(frozen=True, slots=True)
class PeerSeen:
    """A receiver was heard for the first time."""

    ssrc: int


@dataclass(frozen=True, slots=True)
class PeerLeft:
    """A receiver said goodbye."""

    ssrc: int
    reason: str


@dataclass(frozen=True, slots=True)
class PeerReport:
    """A receiver's report, as it came."""

    ssrc: int
    """of the receiver."""
    data: bytes


@dataclass(frozen=True, slots=True)
class RateLimited:
    """How much of a stream its path takes has changed."""

    stream: int
    bitrate: int | None
    """bit/s that the encoder may give; None: what it likes."""
    why: str


Event = KeyFrameRequested | PeerSeen | PeerLeft | PeerReport | RateLimited
