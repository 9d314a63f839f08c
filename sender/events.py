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


@dataclass(frozen=True, slots=True)
class LossReported:
    """What of a stream is lost on its way and not repaired by what is sent beside it."""

    stream: int
    share: float
    """of its packets, over the last few reports."""


Event = KeyFrameRequested | PeerSeen | PeerLeft | PeerReport | RateLimited | LossReported
