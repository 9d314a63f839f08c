"""What a session tells beside media: facts for the log, the report and the pipeline."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from receiver.media import Format, StreamKey


@dataclass(frozen=True, slots=True)
class StreamStarted:
    """Two consecutive packets of a new source, or of a new numbering of a known one."""

    key: StreamKey
    format: Format
    time: int

    def __str__(self) -> str:
        return f"{self.format.media} starts: {self.format.encoding}, SSRC {self.key.ssrc:08x}"


@dataclass(frozen=True, slots=True)
class Goodbye:
    """BYE came; packets on their way still count for a moment."""

    key: StreamKey
    format: Format
    time: int

    def __str__(self) -> str:
        return f"the sender ends its {self.format.media}, SSRC {self.key.ssrc:08x}"


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """It said goodbye, restarted, or fell silent; what it still held has been handed out."""

    key: StreamKey
    format: Format
    time: int
    why: str

    def __str__(self) -> str:
        return f"{self.format.media} ends: {self.why}, SSRC {self.key.ssrc:08x}"


@dataclass(frozen=True, slots=True)
class StreamSilent:
    """No packet for a second; the stream may come back."""

    key: StreamKey
    format: Format
    time: int

    def __str__(self) -> str:
        return f"no {self.format.media} packets for 1 s, SSRC {self.key.ssrc:08x}"


@dataclass(frozen=True, slots=True)
class StreamResumed:
    """Packets again after StreamSilent."""

    key: StreamKey
    format: Format
    time: int
    silence: int
    """ns."""

    def __str__(self) -> str:
        return f"{self.format.media} is back after {self.silence / 1e9:.1f} s, SSRC {self.key.ssrc:08x}"


@dataclass(frozen=True, slots=True)
class KeyFrameRequested:
    """A picture loss indication went out."""

    key: StreamKey
    time: int
    why: str

    def __str__(self) -> str:
        return f"asked for a key frame: {self.why}"


@dataclass(frozen=True, slots=True)
class RepairPlanned:
    """Another repair suits a stream from now on."""

    key: StreamKey
    time: int
    why: str
    """what was seen, and what is done about it."""

    def __str__(self) -> str:
        return f"repair: {self.why}"


@dataclass(frozen=True, slots=True)
class RateLimited:
    """A path became fuller, or is free again: its sender is asked to send less, or nothing."""

    key: StreamKey
    time: int
    bitrate: int | None
    """bit/s, headers and repair included; None: there is no limit."""
    why: str

    def __str__(self) -> str:
        if self.bitrate is None:
            return f"no limit any more: {self.why}"
        return f"asked for at most {self.bitrate / 1000:.0f} kbit/s: {self.why}"


@dataclass(frozen=True, slots=True)
class AllEnded:
    """Every stream has ended, or is silent and will be: nothing is to be expected but another sender."""

    time: int

    def __str__(self) -> str:
        return "every sender has left"


@dataclass(frozen=True, slots=True)
class ReportDue:
    """All streams of one far end are final, and what came of them has been played: it wants our report."""

    ssrc: int
    """one of its streams: the report is for this."""
    ssrcs: frozenset[int]
    """all of its streams: the report is about these."""
    path: Hashable
    time: int

    def __str__(self) -> str:
        return f"the report goes to {self.path}"


@dataclass(frozen=True, slots=True)
class PeerReport:
    """The sender's report, as it came."""

    ssrc: int
    data: bytes
    time: int

    def __str__(self) -> str:
        return f"the sender's report has come, SSRC {self.ssrc:08x}"


Event = (
    StreamStarted
    | Goodbye
    | StreamEnded
    | StreamSilent
    | StreamResumed
    | KeyFrameRequested
    | RepairPlanned
    | RateLimited
    | AllEnded
    | ReportDue
    | PeerReport
)

KINDS: dict[type, str] = {
    StreamStarted: "stream_started",
    Goodbye: "goodbye",
    StreamEnded: "stream_ended",
    StreamSilent: "stream_silent",
    StreamResumed: "stream_resumed",
    KeyFrameRequested: "key_frame_request",
    RepairPlanned: "repair",
    RateLimited: "rate",
    AllEnded: "all_ended",
    ReportDue: "report_due",
    PeerReport: "peer_report",
}
"""`kind` in the report's events."""
