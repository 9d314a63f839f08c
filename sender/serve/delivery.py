"""What goes to one destination by agreement: its tracks, where they lead, and the session that sends them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from protocol.rtsp.application import Session
from protocol.srtp.encryption import Encryption, FixedKeys
from protocol.srtp.master_key import MasterKey
from protocol.srtp.protector import Protector
from sender.clients import Track
from sender.paths import AnyPath, Path, TargetPaths
from sender.resolve import SocketAddress
from sender.serve.conversation import Conversation
from sender.session import SenderSession
from sender.session_maker import SessionMaker
from sender.transmit.stream import StreamConfig

Paths = tuple[AnyPath, AnyPath]
"""of packets, and of reports about them."""


class Keys(NamedTuple):
    """Of one track."""

    ours: MasterKey
    theirs: MasterKey
    """of the reports about it."""


@dataclass(frozen=True, slots=True)
class Setup:
    """One track, agreed on."""

    feed: int
    stream: StreamConfig
    paths: Paths
    keys: Keys | None = None
    """None: it is not encrypted."""

    def track(self) -> Track | None:
        """As it is known at shared ports; None where it does not lead through them."""
        rtp, rtcp = self.paths
        if not isinstance(rtp, Path) or not isinstance(rtcp, Path):
            return None
        stream = self.stream
        return Track({stream.ssrc, stream.rtx_ssrc, stream.fec_ssrc or stream.ssrc}, rtp, rtcp)

    def renewed(self, numbers: random.Random) -> Setup:
        """The same with other SSRCs."""
        media, again, ahead = numbers.sample(range(1, 1 << 32), 3)
        fec = None if self.stream.fec_ssrc is None else ahead
        return replace(self, stream=replace(self.stream, ssrc=media, rtx_ssrc=again, fec_ssrc=fec))


@dataclass(slots=True, eq=False)
class Delivery:
    """To one receiver, or to a group of them. It belongs to the control thread, its session to the network thread from
    the moment on at which it is handed over."""

    key: int
    name: str
    address: SocketAddress
    multicast: bool = False
    setups: dict[str, Setup] = field(default_factory=dict)
    """by the names of the tracks."""
    players: dict[str, Session] = field(default_factory=dict)
    """who wants media now, by the ids of the sessions."""
    session: SenderSession | None = None
    """None: it has not begun, or is over."""
    encryption: Encryption | None = None
    """the session's."""
    handed_over: bool = False
    """the session is the network thread's."""
    over: bool = False
    """nobody will want anything again."""
    conversation: Conversation | None = None
    """through which its packets go; None: by UDP."""

    def begin(self, maker: SessionMaker) -> TargetPaths:
        """A session for what is set up, and where it goes. Payloads are numbered anew each time; no number may be used
        twice under one key, so that what is encrypted gets SSRCs that nothing was sent with."""
        if self.encryption is not None:
            self.setups = {name: each.renewed(maker.numbers) for name, each in self.setups.items()}
        setups = self.setups.values()
        self.encryption = self.encryption or _encryption(setups)
        to = TargetPaths(
            self.key, self.name, self.address, self.multicast, {each.stream.media: each.paths for each in setups}
        )
        streams = [replace(each.stream, rtp_path=each.paths[0], rtcp_path=each.paths[1]) for each in setups]
        if self.multicast:
            streams = [replace(stream, fec_ssrc=None) for stream in streams]
        overhead = 0 if self.encryption is None else self.encryption.overhead
        self.session = maker.make(streams, to.comes_from, overhead=overhead)
        return to

    @property
    def feeds(self) -> Sequence[int]:
        return [each.feed for each in self.setups.values()]


def _encryption(setups: Iterable[Setup]) -> Encryption | None:
    """All of them are encrypted, or none is."""
    protectors: dict[AnyPath, Protector] = {}
    theirs: list[MasterKey] = []
    for each in setups:
        if each.keys is not None:
            protectors |= dict.fromkeys(each.paths, Protector(each.keys.ours))
            theirs.append(each.keys.theirs)
    return FixedKeys(protectors, theirs) if theirs else None


@dataclass(slots=True, eq=False)
class Agreement:
    """One RTSP session's part in a delivery."""

    delivery: Delivery
    ours: bool
    """the other end is a Steadycast: it acknowledges the end."""
