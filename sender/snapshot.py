"""What the sender knows at one moment: frozen, cumulative; every view and report is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sender.transmit.extended import Extended


@dataclass(frozen=True, slots=True)
class Reception:
    """What a receiver said of a stream in its newest report block (RFC 3550 §6.4.1)."""

    reporter: int
    """SSRC of the receiver."""
    time: int
    """monotonic ns at which the report came."""
    fraction_lost: float
    """0 to 1, since the report before."""
    cumulative_lost: int
    extended_highest_sequence: int
    jitter_ms: float


@dataclass(frozen=True, slots=True)
class RepairStatistics:
    """What was sent again of one stream."""

    ssrc: int
    """of the retransmissions."""
    requested: int
    """packets asked for, every time."""
    packets: int
    """retransmitted, every copy."""
    octets: int
    """of UDP payload, in those."""
    refused: Mapping[str, int]
    """requests not answered, by reason."""


@dataclass(frozen=True, slots=True)
class StreamStatistics:
    """One SSRC to one destination."""

    ssrc: int
    media: str
    encoding: str
    payload_type: int
    packets: int
    """handed to the network."""
    octets: int
    """of payload, in those packets."""
    not_handed_over: int
    """numbered, but the system did not take them: the ledger's `lost_sender`."""
    first: int | None
    """first extended sequence number; None before the first packet."""
    last: int | None
    units: int
    """access units packetized."""
    unsendable: Mapping[str, int]
    """access units that the payload format could not carry, by reason."""
    key_frames: int
    key_frame_requests: int
    """PLI and FIR that asked for one of this stream."""
    rtt_ms: float | None
    """None before the first exchange."""
    reception: Reception | None
    """None while no receiver has reported."""
    extended: tuple[Extended, ...] = ()
    """what receivers said beside it."""
    repair: RepairStatistics | None = None
    """None where there is none."""
    rate_limit: int | None = None
    """bit/s that its path takes of what the encoder makes; None: there is no limit."""
    ahead: tuple[int, int] | None = None
    """Reed–Solomon repair packets, and octets of UDP payload in them; None: they are ruled out."""


@dataclass(frozen=True, slots=True)
class SenderStatistics:
    """One session, that is one destination."""

    time: int
    """monotonic ns."""
    streams: tuple[StreamStatistics, ...]
    datagrams_received: int
    unparsed: Mapping[str, int]
    """received datagrams or RTCP packets of no use, by reason."""
    peers: int
    """receivers heard so far."""


@dataclass(frozen=True, slots=True)
class TargetSnapshot:
    """One destination of the run."""

    name: str
    refused: bool
    """nobody listens there at present, as far as the network says."""
    reached: bool
    """somebody answered, or nothing was refused for a while."""
    statistics: SenderStatistics
    peers: tuple[Mapping[str, Any], ...] = ()
    """receivers' reports."""
    left: bool = False
    """nothing is sent there any more."""


@dataclass(frozen=True, slots=True)
class SourceSnapshot:
    """What came from one source, before it fans out to the destinations."""

    media: str
    units: int
    """access units encoded."""
    dropped: int
    """access units thrown away because the queue to the network was full."""
    skipped: int
    """pictures, or sample frames of sound, that the source left out because this machine was too slow."""
    error: str | None
    """why it ended early."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened once."""

    time_s: float
    """since the start."""
    kind: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole run."""

    time_s: float
    """since the start."""
    targets: tuple[TargetSnapshot, ...] = ()
    sources: tuple[SourceSnapshot, ...] = ()
    send_errors: Mapping[str, int] = field(default_factory=dict)
    """datagrams the system did not take, RTCP included, by its name of the error."""
    events: tuple[Event, ...] = ()
