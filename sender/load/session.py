"""A sender session that makes its own traffic, and in a search changes its rate by what the receiver says."""

from __future__ import annotations

from random import Random

from protocol.datagram import Batch
from sender.load.patterns import even
from sender.load.search import Sample, Search
from sender.load.traffic import Traffic
from sender.session import KeyFrameRequested, SenderSession, SessionOutput
from sender.snapshot import Reception
from sender.transmit.stream import StreamConfig


class LoadSession(SenderSession):
    """One stream of load to one destination; `send` is not needed. Driven like any other session."""

    def __init__(
        self,
        stream: StreamConfig,
        traffic: Traffic,
        *,
        cname: str,
        now: int,
        wall: int,
        random: Random,
        packet_size: int,
        search: Search | None = None,
    ) -> None:
        """With `search` the session closes itself when that is over, and `traffic` must begin at its rate."""
        super().__init__((stream,), cname=cname, now=now, wall=wall, random=random, max_datagram=packet_size)
        self.traffic = traffic
        self.search = search
        self._packet_size = packet_size
        self._seen: Reception | None = None
        self._began = self._until = now
        traffic.begin(now)
        if search is not None:
            search.begin(now, self._next_number())

    def handle_datagrams(self, batch: Batch, now: int) -> None:
        super().handle_datagrams(batch, now)
        if self.search is None or self._farewell is not None:
            return
        statistics = self._streams[0].statistics()
        said = statistics.reception
        if said is None or said is self._seen or statistics.last is None:
            return
        self._seen = said
        highest = statistics.last - ((statistics.last - said.extended_highest_sequence) & 0xFFFF)
        rtt = None if statistics.rtt_ms is None else round(statistics.rtt_ms * 1e6)
        self.search.observe(Sample(said.time, highest, said.cumulative_lost, rtt, said.jitter_ms / 1000))

    def poll(self, now: int) -> SessionOutput:
        if self._farewell is None:
            self._until = now
            self._steer(now)
            for unit in self.traffic.due(now):
                self.send(0, unit, now)
        output = super().poll(now)
        # There is no encoder to ask for a key frame.
        output.events[:] = [event for event in output.events if not isinstance(event, KeyFrameRequested)]
        return output

    def seconds(self) -> float:
        """How long load was made."""
        return (self._until - self._began) / 1e9

    def next_timeout(self) -> int | None:
        timeout = super().next_timeout()
        due = self.traffic.next_time()
        if self._farewell is not None or due is None:
            return timeout
        return due if timeout is None else min(timeout, due)

    def _steer(self, now: int) -> None:
        if self.search is None:
            return
        rate = self.search.rate
        self.search.advance(now, self._next_number(), self.traffic.skipped)
        if self.search.over:
            self.close(now)
        elif self.search.rate != rate:
            self.traffic.change(even(self.search.rate, self._packet_size, self.traffic.elapsed(now)))

    def _next_number(self) -> int:
        return self._streams[0].last_sequence + 1
