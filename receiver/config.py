"""Everything the receiver was asked to do, already checked: what the command line makes and the pipeline reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from protocol.command.repair import AUTO, Repair
from protocol.command.security import Security
from protocol.rtsp.url import Url
from receiver.media import Format

if TYPE_CHECKING:
    from protocol.key_file import KeyFile
    from protocol.srtp.master_key import MasterKey


@dataclass(frozen=True, slots=True)
class Latency:
    """`--latency`: a fixed time, or adaptive between quick (0) and safe (1)."""

    fixed: int | None = None
    """ns; None: adaptive."""
    caution: float = 0.3


@dataclass(frozen=True, slots=True)
class Listen:
    """Where packets are expected."""

    host: str | None = None
    """address to bind, a multicast group to join, or None for every address of this machine."""
    ports: tuple[int, ...] = (5004, 5005, 5006, 5007)
    rtx_ssrcs: Mapping[int, int] = field(default_factory=dict)
    """SSRCs of retransmissions, with those of their originals, where a description names them."""
    tcp: int | None = None
    """port on which senders may announce themselves; None: none."""
    url: Url | None = None
    """of a presentation to ask for; then there are no ports of ours."""
    keys: Mapping[int, Sequence[MasterKey]] = field(default_factory=dict)
    """of what comes to a port, where a description has them."""


@dataclass(frozen=True, slots=True)
class ReceiverConfig:
    listen: Listen = Listen()
    formats: Mapping[int, Format] | None = None
    """payload types from an SDP, retransmissions among them as `rtx`; None: the default map."""
    mapped: Mapping[int, Format] = field(default_factory=dict)
    """--map, stronger than both."""
    audio: str = "speaker"
    """speaker, speaker:NAME, FILE.wav, - or none."""
    video: str = "window"
    """window, FILE.y4m (also a FIFO), FILE.mp4, - or none."""
    record: str | None = None
    capture: str | None = None
    """pcapng file for what arrives, and every call of the session."""
    latency: Latency = Latency()
    repair: Repair = AUTO
    """what senders are told that we take, and asked for."""
    ssrc: int | None = None
    gro: bool = True
    duration: int | None = None
    """ns; None: until Ctrl-C, or the window is closed."""
    exit_on_end: bool = False
    """end when the last sender has said goodbye."""
    bind: str | None = None
    interface: str | None = None
    family: int = 0
    rtcp_to: tuple[str, int] | None = None
    key_file: KeyFile | None = None
    """None: plain RTP is not encrypted."""
    rtsp_transport: str = "auto"
    """how packets of a presentation come: auto, udp, tcp or multicast."""
    no_announce: bool = False
    """the network is not told that we listen."""
    security: Security = field(default_factory=Security)
    json: bool = False
    """the report goes to stdout."""
    json_stream: bool = False
    """a line each second goes to stdout, and the report as the last."""
    dashboard: str | None = None
    """where it is served as a web page; empty: it is drawn in the terminal."""
    report: str | None = None
    """directory for report.json and what belongs to it."""
    picture: str | None = None
    """keep the last picture played in this PNG file."""
    quiet: bool = False
    verbose: int = 0
    """above 0, every event is a line."""
    given: dict[str, object] = field(default_factory=dict)
