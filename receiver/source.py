"""One SSRC as it is heard: which numbering its packets belong to, and what its sender says of itself in RTCP."""

from __future__ import annotations

from collections.abc import Callable, Hashable

import numpy as np
from numpy.typing import NDArray

from protocol.datagram import Batch
from protocol.ntp import unix_from_ntp
from protocol.rtcp.range import SenderRange
from protocol.rtcp.sr import SenderReport
from protocol.rtcp.xr import Echo
from protocol.rtp import Headers
from protocol.serial import difference
from receiver.account.closing import drain
from receiver.account.local import queue
from receiver.account.one_way import TwoWay
from receiver.account.source import Segment, SourceTracker
from receiver.jitter.buffer import Packets
from receiver.media import Format, StreamKey
from receiver.payload_types import PayloadTypes
from receiver.rtcp.exchange import times
from receiver.stream import Stream

MOVED = 500_000_000
"""ns of silence after which packets from another address mean that the sender has moved; before, that an echo or
a loop repeats them (RFC 3550 §8.2)."""
MOVED_REPORTS = 10_000_000_000
REPORTED = 1000
"""packets that a sender report counts for."""
GONE = 10_000_000_000
"""ns of silence after which a source has no claim to its place."""

OpenStream = Callable[[StreamKey, Format, int, PayloadTypes, int], Stream]
"""(key, format, payload type, what payload types mean, now) -> a new stream."""


class Source:
    """The state of one SSRC. At most one of its numberings, the newest, is alive."""

    def __init__(
        self,
        ssrc: int,
        payload_type: int,
        types: PayloadTypes,
        path: Hashable,
        open_stream: OpenStream,
        listening_since: int,
        now: int,
    ) -> None:
        self.types = types
        """its agreement's."""
        self.ssrc, self.payload_type, self.format = ssrc, payload_type, types.formats[payload_type]
        self.path = path
        self.steered = False
        """its packets come through a queue that is not everybody's."""
        self.rtcp_path: Hashable | None = None
        self._report_path: Hashable | None = None
        """that the newest sender report came along."""
        self._heard = self._reported = now
        self.cname: str | None = None
        self.last_report: tuple[SenderReport, int] | None = None
        self.ends_at: int | None = None
        self.why_ended = ""
        self.stream: Stream | None = None
        self._tracker = SourceTracker(self.format.clock_rate)
        self._open = open_stream
        self._listening_since = listening_since
        self._range: SenderRange | None = None
        self._agreed_from_start = False
        self._two_way = TwoWay()
        self.reads_reports = False
        """its sender is one of ours."""
        self.told: Stream | None = None
        """the numbering that its sender has had a report about."""

    # -- RTP --------------------------------------------------------------------------------------------------

    def receive(
        self, headers: Headers, arrival_times: NDArray[np.int64], buffer: NDArray[np.uint8], now: int
    ) -> list[Stream]:
        """Packets of this SSRC, all payload types; returns the streams that a new numbering replaced."""
        replaced: list[Stream] = []
        for segment in self._tracker.track(headers, arrival_times, buffer):
            if self.stream is None or segment.epoch != self.stream.key.epoch:
                if self.stream is not None:
                    replaced.append(self.stream)
                self.stream = self._begin(segment, now)
            self.stream.receive(self._packets(segment, self.stream), now)
            if self._range is not None:
                self._apply_range(self.stream)
        return replaced

    def _begin(self, segment: Segment, now: int) -> Stream:
        """What was reported of the numbering before is not true of this one."""
        payload_type = int(segment.headers.payload_type[0])
        if payload_type in self.types.formats:
            self.payload_type, self.format = payload_type, self.types.formats[payload_type]
        stream = self._open(StreamKey(self.ssrc, segment.epoch), self.format, self.payload_type, self.types, now)
        self.ends_at = None
        if segment.epoch:
            self._range = None
            if self.last_report is not None and self.last_report[1] < segment.arrival_times[0]:
                self.last_report = None
        self._apply_report(stream, int(segment.timestamps[0]))
        return stream

    def _packets(self, segment: Segment, stream: Stream) -> Packets:
        """For the jitter buffer; of other payload types (comfort noise, events) there is nothing to play."""
        headers, lengths = segment.headers, segment.headers.payload_length
        foreign = headers.payload_type != self.payload_type
        if others := np.count_nonzero(foreign):
            beside = np.count_nonzero(np.isin(headers.payload_type, self.types.ulpfec))
            stream.ignore(int(others - beside))
            lengths = np.where(foreign, 0, lengths)
        if self.format.media == "load":  # only how a payload begins says something
            filler = lengths - (first := np.minimum(lengths, 1))
            stream.fill(int(filler.sum()))
            lengths = first
        return Packets(
            segment.extended, segment.timestamps, headers.marker, segment.arrival_times,
            headers.payload_offset, lengths, segment.buffer,
        )  # fmt: skip

    def agreed(self, types: PayloadTypes, path: Hashable) -> None:
        """It goes on in another agreement, along this path."""
        self.types, self.path = types, path
        self.rtcp_path = self._report_path = None

    def heard_from(
        self, path: Hashable, now: int, *, further: bool, steered: bool = False, authentic: bool = False
    ) -> None:
        """Packets came along this path; `further`: with numbers, or of a numbering, that nothing had come of. Whoever
        only repeats what came is not followed; who proves to be the sender is followed at once."""
        if path != self.path and further and (authentic or now - self._heard >= MOVED):
            elsewhere = self._report_path not in (self.path, self.rtcp_path)
            self.path, self.rtcp_path = path, self._report_path if elsewhere else None
        if path == self.path:
            self._heard, self.steered = now, steered

    def reported_from(self, path: Hashable, now: int) -> None:
        """A sender report came along this path."""
        self._report_path = path
        if self.rtcp_path is None or now - self._reported >= MOVED_REPORTS:
            self.rtcp_path = path
        if path == self.rtcp_path:
            self._reported = now

    @property
    def reached(self) -> tuple[int, int]:
        """Its newest numbering and the highest extended number there."""
        return self._tracker.reached

    @property
    def playing(self) -> Stream | None:
        """The newest numbering, while it goes on."""
        return None if self.stream is None or self.stream.ended else self.stream

    def quiet_for(self, now: int) -> int:
        """ns since packets or a sender report came."""
        return now - max(self._heard, self._reported)

    @property
    def far_end(self) -> Hashable:
        """The same for all streams of one sender: its name, or its address while that is not known."""
        return self.path if self.cname is None else self.cname

    @property
    def packets(self) -> int:
        """Of the newest numbering."""
        return 0 if self.stream is None else self.stream.packets

    def standing(self, now: int) -> int:
        """How much its place would be missed: the packets of a stream that goes on; a sender report counts for more
        than junk ever has, from the first packet on."""
        if now - self._heard > GONE or (self.stream is not None and self.stream.ended):
            return 0
        return self.packets + (REPORTED if self.last_report is not None else 0)

    def shares_queue(self, batch: Batch) -> bool:
        """Whether its packets came through the receive queue that this batch was in."""
        if batch.steered or self.steered:
            return batch.steered and self.steered and self.path == batch.path
        return queue(self.path) == queue(batch.path)

    @property
    def unconfirmed(self) -> int:
        """Packets that never became part of a stream."""
        return self._tracker.unconfirmed + self._tracker.waiting

    # -- RTCP -------------------------------------------------------------------------------------------------

    def sender_report(self, report: SenderReport, arrival: int) -> None:
        self.last_report = report, arrival
        self._tracker.sender_report(report.ntp_timestamp, report.packet_count)
        if self.stream is not None:
            self._apply_report(self.stream, self.stream.newest_timestamp)
            self.stream.ledger.report_count(report.packet_count, arrival, self._listening_since)

    def reported(self, octets: int) -> None:
        """A datagram with a sender report about it came."""
        if self.playing is not None:
            self.playing.reported(octets)

    def echoed(self, echo: Echo, arrival: int) -> None:
        """Our clock's reading came back with the sender report that arrived at the same moment."""
        if self.last_report is None or self.last_report[1] != arrival or self.playing is None:
            return
        exchange = times(echo, self.last_report[0], arrival)
        if exchange is not None and self._two_way.exchange(*exchange, self.playing.least_transit()):
            self.playing.exchanged(self._two_way)

    def _apply_report(self, stream: Stream, newest: int) -> None:
        """SR may come before the first packet: its RTP timestamp is unwrapped near the newest one."""
        if self.last_report is not None:
            report = self.last_report[0]
            unwrapped = newest + difference(report.rtp_timestamp, newest & 0xFFFF_FFFF, 32)
            stream.clock.sender_report(unix_from_ntp(report.ntp_timestamp), unwrapped)

    def sender_range(self, sent: SenderRange, *, from_start: bool = False) -> None:
        """`from_start`: it was agreed on before the first packet left."""
        self._range, self._agreed_from_start = sent, from_start
        self.reads_reports = True
        if self.stream is not None:
            self._apply_range(self.stream)

    def _apply_range(self, stream: Stream) -> None:
        sent, self._range = self._range, None
        if sent is None:
            return
        placed = stream.ledger.set_range(
            sent.first, sent.last, sent.count, final=sent.final, heard_from_start=self._heard_from_start(sent)
        )
        if placed is not None:
            self._tracker.sender_range(placed[1])

    def _heard_from_start(self, sent: SenderRange) -> bool:
        """By the sender's own clock: its first packet left after we had begun to listen."""
        if self._agreed_from_start:
            return True
        if self.last_report is None:
            return False
        report, arrival = self.last_report
        age = unix_from_ntp(report.ntp_timestamp) - unix_from_ntp(sent.first_time)
        return arrival - age >= self._listening_since

    def goodbye(self, now: int, why: str) -> None:
        """BYE: what is on its way still counts for a moment."""
        if self.ends_at is None:
            rtt = 0 if self.stream is None else self.stream.longest_rtt
            self.ends_at, self.why_ended = now + drain(rtt, 0, final_range_known=True), why

    def end(self) -> None:
        """The numbering is over: what else comes begins another, stragglers excepted."""
        self._tracker.end_epoch()
        self.ends_at = None
