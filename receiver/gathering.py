"""A session that hears many streams which only measure: their packets are gathered for a moment and booked together.

Nobody plays these streams (`sender --load`), and what counts is when their packets arrived, not when that is looked
at. A thousand of them in one socket have a packet or two in each batch, and booking one costs hardly less than booking
a hundred.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from protocol.datagram import Batch
from protocol.rtcp.range import SenderRange
from protocol.rtp import HEADER_SIZE, parse_batch, rtcp_mask
from protocol.srtp.refused import Refused
from receiver.media import StreamKey
from receiver.payload_types import PayloadTypes
from receiver.session import ReceiverSession, SessionConfig
from receiver.session import SessionStatistics as SessionStatistics
from receiver.source import Source
from receiver.sources import Heard
from receiver.stream import Stream

WORTH = 16
"""such streams from which on it is worth it."""
ROOM = 1 << 17
"""packets gathered at most."""
_KEPT = HEADER_SIZE + 1
"""octets of each: of a payload that measures only the first one says something."""
_OCTETS = np.arange(_KEPT)
_SSRC = slice(8, 12)


class Gathered:
    """Beginnings of datagrams of one path, in the order of their arrival."""

    def __init__(self) -> None:
        self._octets = np.empty((0, _KEPT), np.uint8)
        self._lengths = self._times = np.empty(0, np.int64)
        self._ssrcs = np.empty(0, np.uint32)
        self._waits = np.empty(0, bool)
        self._fill = 0
        self.path: Hashable = None
        self.steered = False

    def __len__(self) -> int:
        return self._fill

    def add(self, octets: NDArray[np.uint8], ssrcs: NDArray[np.uint32], lengths: NDArray[np.int64],
            times: NDArray[np.int64]) -> None:  # fmt: skip
        """No more than fit, of shape (n, _KEPT) and (n,): how datagrams begin, how long they are, when they came."""
        if not len(self._octets):  # sessions that gather nothing need no room
            self._octets = np.empty((ROOM, _KEPT), np.uint8)
            self._lengths, self._times = np.empty((2, ROOM), np.int64)
            self._ssrcs, self._waits = np.empty(ROOM, np.uint32), np.empty(ROOM, bool)
        at = slice(self._fill, self._fill + len(ssrcs))
        self._octets[at], self._ssrcs[at], self._lengths[at], self._times[at] = octets, ssrcs, lengths, times
        self._waits[at] = True
        self._fill = at.stop

    def take(self, ssrcs: NDArray[np.uint32] | None = None) -> Batch:
        """Those of these SSRCs, of all by default: each one's together, in the order of arrival."""
        chosen = self._waits[: self._fill]
        if ssrcs is not None:
            chosen = chosen & np.isin(self._ssrcs[: self._fill], ssrcs)
        rows = np.flatnonzero(chosen)
        rows = rows[np.argsort(self._ssrcs[rows], kind="stable")]
        self._waits[rows] = False
        if ssrcs is None:
            self._fill = 0
        offsets = np.arange(len(rows)) * _KEPT
        octets, lengths, times = self._octets[rows].reshape(-1), self._lengths[rows], self._times[rows]
        return Batch(octets, offsets, lengths, times, self.path, steered=self.steered)


class GatheringSession(ReceiverSession):
    """A ReceiverSession in everything: whatever asks about a stream, or changes one, finds its packets booked."""

    def __init__(self, config: SessionConfig, now: int) -> None:
        super().__init__(config, now)
        self._gathered = Gathered()
        self._measured: NDArray[np.uint32] = np.zeros(0, np.uint32)
        """SSRCs, ascending."""
        self._now = now
        self._timeout: int | None = None
        """`next_timeout`, while packets are gathered and nothing else happens."""

    def handle_datagrams(self, batch: Batch, now: int) -> None:
        control = self._gather(batch, now) if len(self._measured) else None
        if control is None:
            self._settle(now)
            super().handle_datagrams(batch, now)
        elif len(control):
            reports = Batch(batch.buffer, batch.offsets[control], batch.lengths[control], batch.arrival_times[control],
                            batch.path, steered=batch.steered)  # fmt: skip
            self._settle(now, self._mentioned(reports))
            super().handle_datagrams(reports, now)

    def _gather(self, batch: Batch, now: int) -> NDArray[np.int64] | None:
        """Keeps the packets, where there is nothing else in the batch but reports: returns which those are. Otherwise
        None."""
        n = len(batch)
        if self._closed or batch.kernel_drops or not n or int(batch.lengths.min()) < _KEPT:
            return None
        scope = self._scopes.of(batch.path)
        if scope is not self._scopes.default:
            return None
        octets = batch.buffer[batch.offsets[:, None] + _OCTETS]
        control = rtcp_mask(batch)
        ssrcs = octets[:, _SSRC].copy().view(">u4")[:, 0].astype(np.uint32)
        known = self._measured[np.minimum(np.searchsorted(self._measured, ssrcs), len(self._measured) - 1)] == ssrcs
        good = known & (octets[:, 0] == 0x80) & scope.load[octets[:, 1] & 0x7F]
        if not (good | control).all():
            return None
        gathered = self._gathered
        if len(gathered) + n > ROOM or (gathered.path, gathered.steered) != (batch.path, batch.steered):
            self._settle(now)
            gathered.path, gathered.steered = batch.path, batch.steered
        if control.any():
            octets, ssrcs = octets[~control], ssrcs[~control]
        gathered.add(octets, ssrcs, batch.lengths[~control], batch.arrival_times[~control])
        self._datagrams += len(ssrcs)
        self._now = now
        return np.flatnonzero(control)

    def _mentioned(self, reports: Batch) -> NDArray[np.uint32]:
        """SSRCs of streams that reports may be about: any word of theirs."""
        octets = [reports.datagram(row) for row in range(len(reports))]
        words = np.frombuffer(b"".join(data[: len(data) & ~3] for data in octets), ">u4")
        return np.intersect1d(words.astype(np.uint32), self._measured)

    def _settle(self, now: int, ssrcs: NDArray[np.uint32] | None = None) -> None:
        """Books what was gathered of these, of all by default."""
        self._timeout = None
        if not len(self._gathered):
            return
        batch = self._gathered.take(ssrcs)
        headers = parse_batch(batch)
        edges = [0, *(np.flatnonzero(np.diff(headers.ssrc)) + 1).tolist(), len(batch)]
        for start, stop in pairwise(edges if len(batch) else []):
            part = slice(start, stop)
            source = self._sources.get(int(headers.ssrc[start]))
            assert source is not None  # who leaves is settled before
            self._receive(Heard(source, headers.select(part), batch.arrival_times[part], batch), now)

    def handle_timeout(self, now: int) -> None:
        self._settle(now)
        super().handle_timeout(now)
        default = self._scopes.default.types
        loads = (s for s in self._sources if s.format.media == "load" and s.types is default)
        measured = sorted(source.ssrc for source in loads if source.playing is not None)
        self._measured = np.array(measured if len(measured) >= WORTH else [], np.uint32)

    def next_timeout(self) -> int:
        if self._timeout is None:
            self._timeout = super().next_timeout()
        return self._timeout

    def _waited_for(self) -> list[Stream]:
        """What is gathered is looked at with each tick: nobody waits for it."""
        return [s for s in super()._waited_for() if s.format.media != "load" or s.key.ssrc not in self._measured]

    def refuse(self, refused: Refused, now: int) -> None:
        self._settle(now)
        super().refuse(refused, now)

    def request_key_frame(self, key: StreamKey, why: str) -> None:
        self._timeout = None
        super().request_key_frame(key, why)

    def offer_report(self, to: int, data: bytes, path: Hashable, now: int) -> None:
        self._timeout = None
        super().offer_report(to, data, path, now)

    def describe(self, ports: Iterable[int], types: PayloadTypes) -> None:
        self._settle(self._now)
        super().describe(ports, types)

    def forget(self, ports: Iterable[int], now: int, why: str = "") -> None:
        self._settle(now)
        super().forget(ports, now, why)

    def final_range(self, ports: Iterable[int], sent: SenderRange, now: int) -> None:
        self._settle(now)
        super().final_range(ports, sent, now)

    def close(self, now: int) -> None:
        self._settle(now)
        super().close(now)

    def statistics(self) -> SessionStatistics:
        self._settle(self._now)
        return super().statistics()

    def _forget(self, source: Source, now: int) -> None:
        super()._forget(source, now)
        self._measured = self._measured[self._measured != source.ssrc]
