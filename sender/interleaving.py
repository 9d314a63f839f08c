"""Packets between the network thread and a connection, which is the control thread's."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from sender.network import Network
from sender.paths import Channel

_WAITING = 500_000
"""octets that may wait for the control thread."""
_DRAINED = 60_000
"""octets in the connection below which media that did not fit may begin again."""
_MAX_UNREAD = 512
"""packets that may wait for the network thread; of more, the rest is dropped."""


class Pipe(Protocol):
    """A connection, as far as packets are concerned."""

    closed: bool

    @property
    def waiting(self) -> int:
        """Octets that the system has not taken yet."""

    def send_interleaved(self, channel: int, datagrams: Sequence[bytes]) -> int:
        """How many it took."""


class Interleaver:
    """The channels of one connection (RFC 2326 §10.12). It belongs to the control thread."""

    def __init__(self, pipe: Pipe, network: Network, post: Callable[..., object]) -> None:
        """`post` has the control thread call something."""
        self._pipe, self._network, self._post = pipe, network, post
        self._channels: dict[int, Channel] = {}
        self._starving: set[int] = set()
        """targets whose media did not fit."""
        self._unread = 0
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Channel, Sequence[bytes]]] = deque()
        self._octets = 0
        self._open = True

    def open(self, target: int, wanted: tuple[int, int] | None) -> tuple[Channel, Channel] | None:
        """A pair of channels: those wanted, if they are free, or others; None: there are no more."""
        pairs = [(first, first + 1) for first in range(0, 256, 2)]
        if wanted is not None and wanted[0] != wanted[1]:
            pairs.insert(0, wanted)
        free = next((pair for pair in pairs if not self._channels.keys() & set(pair)), None)
        if free is None:
            return None
        rtp, rtcp = (Channel(target, number, number == free[0], self._hand_over) for number in free)
        self._channels |= {rtp.number: rtp, rtcp.number: rtcp}
        return rtp, rtcp

    def release(self, target: int) -> None:
        """This target needs its channels no more."""
        self._channels = {number: each for number, each in self._channels.items() if each.target != target}
        self._starving.discard(target)

    def close(self) -> None:
        """The connection is gone."""
        self._open = False

    def receive(self, number: int, data: bytes) -> None:
        """A packet came in the connection."""
        channel = self._channels.get(number)
        if channel is None or self._unread >= _MAX_UNREAD:
            return
        self._unread += 1

        def hand_in(now: int) -> None:
            self._unread -= 1
            self._network.receive(channel.target, [data], channel, now)

        self._network.call(hand_in)

    def _hand_over(self, channel: Channel, datagrams: Sequence[bytes]) -> Sequence[bytes]:
        """On the network thread. Returns what there is no room for."""
        size = sum(map(len, datagrams))
        with self._lock:
            if not self._open or self._octets + size > _WAITING:
                return datagrams
            idle = not self._waiting
            self._waiting.append((channel, datagrams))
            self._octets += size
        if idle:
            self._post(self._flush)
        return ()

    def _flush(self) -> None:
        with self._lock:
            waiting, self._waiting, self._octets = self._waiting, deque(), 0
        for channel, datagrams in waiting:
            taken = self._pipe.send_interleaved(channel.number, datagrams)
            if taken < len(datagrams) and not self._pipe.closed:
                self._starve(channel, datagrams[taken:])
        if self._starving and self._pipe.waiting < _DRAINED:
            for target in self._starving:
                self._feed(target)
            self._starving.clear()

    def _starve(self, channel: Channel, datagrams: Sequence[bytes]) -> None:
        """There was no room for these: what follows is of no use until the next key frame."""
        self._starving.add(channel.target)

        def note(_: int) -> None:
            if (destination := self._network.destinations.get(channel.target)) is not None:
                destination.handle_unsent(datagrams)
                destination.starving = True

        self._network.call(note)

    def _feed(self, target: int) -> None:
        """There is room again."""

        def note(_: int) -> None:
            if (destination := self._network.destinations.get(target)) is not None and destination.starving:
                destination.starving = False
                self._network.restart(target)

        self._network.call(note)
