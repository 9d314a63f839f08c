"""Sessions as the command line wants them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from random import Random

from sender.config import SenderConfig
from sender.session import SenderSession
from sender.transmit.stream import StreamConfig


@dataclass(frozen=True, slots=True)
class SessionMaker:
    config: SenderConfig
    cname: str
    now: int
    """monotonic ns at which"""
    wall: int
    """Unix time was this, ns."""
    numbers: Random

    def make(
        self, streams: Sequence[StreamConfig], from_target: Callable[[Hashable], bool], *, overhead: int = 0
    ) -> SenderSession:
        """`from_target`: whether what came along a path comes from where media goes to; `overhead`: octets that
        encryption adds to a datagram."""
        config = self.config
        return SenderSession(
            streams,
            cname=self.cname,
            now=self.now,
            wall=self.wall,
            random=self.numbers,
            max_datagram=config.max_datagram - overhead,
            repair=config.repair.kind,
            fec=config.repair.fec,
            from_target=from_target,
        )
