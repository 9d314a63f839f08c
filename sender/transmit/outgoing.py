"""One stream to one destination: its packets in order, what was sent of it, and what receivers say about it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from random import Random

from protocol import rtx
from protocol.errors import ProtocolError
from protocol.fec.payload import OVERHEAD
from protocol.ntp import middle_32, ntp_from_unix, round_trip_ns
from protocol.rtcp.range import SenderRange
from protocol.rtcp.repair_offer import RepairOffer
from protocol.rtcp.report_block import ReportBlock
from protocol.rtcp.sr import SenderReport
from protocol.rtp import HEADER_SIZE
from sender.media import AccessUnit
from sender.snapshot import Reception, StreamStatistics
from sender.transmit.ahead import Ahead
from sender.transmit.circuit_breaker import Sent
from sender.transmit.clock import MediaClock
from sender.transmit.extended import ExtendedReports
from sender.transmit.pacer import Pacer
from sender.transmit.packetizer import RtpPacketizer
from sender.transmit.rate import Progress, StreamRate
from sender.transmit.retransmission import Retransmission
from sender.transmit.stream import StreamConfig

IP_UDP_OVERHEAD = 28
_REMEMBERED_REPORTS = 64
_REMEMBERED_REQUESTS = 64
_LATELY = 0.25
"""what one report counts for in the share that is lost."""


class OutgoingStream:
    """`wall_offset` is Unix time − monotonic time in ns: needed only where NTP time is written or read."""

    def __init__(self, config: StreamConfig, random: Random, max_payload: int, wall_offset: int) -> None:
        self.config = config
        self._overhead = 0 if config.rtx_payload_type is None else rtx.OVERHEAD
        if config.fec_ssrc is not None:
            self._overhead = OVERHEAD
        self._packetizer = RtpPacketizer(config, random, max_payload - self._overhead)
        self._pacer = Pacer(0 if config.media == "audio" else config.frame_interval // 3)
        self._clock = MediaClock(config.clock_rate)
        self._wall_offset = wall_offset
        self._popped = self._popped_octets = 0
        self._whole = 0.0
        """packets that would have been, had none been cut for forward correction."""
        self._unsent = self._unsent_octets = 0
        self._units = self._key_frames = self._key_frame_requests = 0
        self._unsendable: dict[str, int] = {}
        self._first_time: int | None = None
        self._reports_sent: deque[int] = deque(maxlen=_REMEMBERED_REPORTS)
        self._fir_numbers: dict[int, int] = {}
        self._rtt: int | None = None
        self._reception: Reception | None = None
        self._lost = 0.0
        self.extended = ExtendedReports()
        self.rate = StreamRate(config.frame_interval)
        self.repair = self._retransmission(random)
        self._ahead: Ahead | None = None
        if config.fec_ssrc is not None:
            self._ahead = Ahead(config, config.fec_ssrc, random.randrange(1 << 15), max_payload + HEADER_SIZE)

    def _retransmission(self, random: Random) -> Retransmission | None:
        """Its numbers begin at random, like the media's."""
        config = self.config
        if config.rtx_payload_type is None:
            return None
        return Retransmission(
            first=self._packetizer.first_sequence,
            first_rtx=random.randrange(1 << 15),
            ssrc=config.rtx_ssrc,
            payload_type=config.rtx_payload_type,
            bitrate=config.bitrate,
        )

    # Media

    def push(self, unit: AccessUnit, now: int) -> None:
        """Queue a unit's packets; one that its payload format cannot carry is counted and left out."""
        try:
            datagrams = self._packetizer.packetize(unit)
        except ProtocolError as error:
            self._unsendable[error.reason] = self._unsendable.get(error.reason, 0) + 1
            return
        self._units += 1
        self._key_frames += unit.key_frame and self.config.media == "video"
        self._clock.observe(unit.timestamp, unit.capture_time)
        self._pacer.push(datagrams, now)

    def pop(self, now: int) -> list[bytes]:
        """The datagrams that are due, in order; they count as handed to the network unless `unsent` takes them back."""
        due = [datagram for burst in self._pacer.pop(now) for datagram in burst]
        if due and self._first_time is None:
            self._first_time = now
        if self.repair is not None:
            self.repair.sent(due, now)
        repair: list[bytes] = []
        if self._ahead is not None:
            due = self._ahead.wrap(due)
            repair = self._ahead.protect(due)
        self._popped += len(due)
        self._whole += len(due) * (1.0 if self._ahead is None else self._ahead.part)
        self._popped_octets += sum(map(len, due)) - HEADER_SIZE * len(due)
        return due + repair

    def wish(self, offers: Sequence[RepairOffer], fec: float | None, *, everyone: bool) -> None:
        """What receivers of this stream want ahead of need; `fec`: the share that the user decided on; `everyone`: they
        are all that there are."""
        if self._ahead is not None:
            self._ahead.wish(offers, fec, everyone=everyone)
            self._packetizer.max_payload = self._ahead.max_datagram - HEADER_SIZE - self._overhead

    def flush(self, now: int) -> None:
        """Nothing waits any more."""
        self._pacer.flush(now)

    def unsent(self, datagram: bytes) -> None:
        """The system did not take a datagram that was popped."""
        self._unsent += 1
        self._unsent_octets += len(datagram) - HEADER_SIZE

    def next_time(self) -> int | None:
        """When the next datagrams are due, monotonic ns."""
        return self._pacer.next_time()

    @property
    def started(self) -> bool:
        """Whether a packet has left."""
        return self._first_time is not None

    @property
    def begun(self) -> bool:
        """Whether a packet has been made."""
        return self._packetizer.next_sequence > self._packetizer.first_sequence

    def final_range(self) -> SenderRange:
        """`range` once everything queued has left."""
        first, end = self._packetizer.first_sequence, self._packetizer.next_sequence
        time = ntp_from_unix((self._first_time or 0) + self._wall_offset)
        return SenderRange(self.config.ssrc, first, end - 1, end - first - self._unsent, time, final=True)

    @property
    def position(self) -> tuple[int, int]:
        """(extended number of the next packet to be made, offset of timestamps)"""
        return self._packetizer.next_sequence, self._packetizer.timestamp_offset

    @property
    def last_sequence(self) -> int:
        """Extended number of the newest packet that has left."""
        return self._packetizer.first_sequence + self._popped - 1

    # Reports

    def sender_report(self, now: int) -> SenderReport:
        """RFC 3550 §6.4.1: both clocks at one moment, and the counts."""
        ntp = ntp_from_unix(now + self._wall_offset)
        self._reports_sent.append(middle_32(ntp))
        timestamp = self._clock.timestamp_at(now) + self._packetizer.timestamp_offset
        return SenderReport(
            self.config.ssrc,
            ntp,
            timestamp & 0xFFFF_FFFF,
            (self._popped - self._unsent) & 0xFFFF_FFFF,
            (self._popped_octets - self._unsent_octets) & 0xFFFF_FFFF,
            (),
        )

    def range(self, *, final: bool) -> SenderRange:
        """Which numbers have left so far; only for a started stream."""
        return SenderRange(
            ssrc=self.config.ssrc,
            first=self._packetizer.first_sequence,
            last=self.last_sequence,
            count=self._popped - self._unsent,
            first_time=ntp_from_unix((self._first_time or 0) + self._wall_offset),
            final=final,
        )

    # What receivers say

    def handle_report_block(self, reporter: int, block: ReportBlock, arrival_time: int) -> None:
        """A receiver's view of this stream. A round trip is believed only if one of our reports began it."""
        if block.lsr in self._reports_sent:
            self._rtt = round_trip_ns(ntp_from_unix(arrival_time + self._wall_offset), block.lsr, block.dlsr)
            if self.repair is not None and self._rtt is not None:
                self.repair.measured(self._rtt)
        self._lost += _LATELY * (block.fraction_lost / 256 - self._lost)
        if self.repair is not None:
            self.repair.lost(block.fraction_lost / 256)
        self._reception = Reception(
            reporter,
            arrival_time,
            block.fraction_lost / 256,
            block.cumulative_lost,
            block.extended_highest_sequence,
            block.jitter * 1000 / self.config.clock_rate,
        )
        self.rate.report(reporter, block, self._progress(), self._rtt, arrival_time)

    @property
    def unrepaired(self) -> float:
        """Share of its packets that receivers lose and that nothing sent ahead makes up for."""
        return 0.0 if self._ahead is not None and self._ahead.repeats else self._lost

    def follow_limits(self, now: int) -> tuple[int | None, str] | None:
        """What the encoder may give from now on in bit/s, and why, where that has changed."""
        change = self.rate.follow(self._progress(), now)
        if change is not None and self.repair is not None:
            self.repair.limit(change[0])
        return change

    def _progress(self) -> Progress:
        packets, octets = (0, 0) if self._ahead is None else (self._ahead.packets, self._ahead.octets)
        if self.repair is not None:
            again = self.repair.statistics()
            packets, octets = packets + again.packets, octets + again.octets
        media = self._popped_octets + (HEADER_SIZE + IP_UDP_OVERHEAD) * self._popped
        return Progress(Sent(self._whole, media), self._popped_octets, octets + IP_UDP_OVERHEAD * packets)

    def handle_key_frame_request(self) -> None:
        """A receiver lost the picture (PLI)."""
        self._key_frame_requests += 1

    def handle_full_intra_request(self, requester: int, number: int) -> bool:
        """FIR; False for a repetition of one seen before: only a new number is a new request (RFC 5104 §4.3.1.2)."""
        if self._fir_numbers.get(requester) == number:
            return False
        if len(self._fir_numbers) >= _REMEMBERED_REQUESTS:
            self._fir_numbers.clear()
        self._fir_numbers[requester] = number
        self._key_frame_requests += 1
        return True

    def statistics(self) -> StreamStatistics:
        """A frozen copy of everything counted."""
        return StreamStatistics(
            ssrc=self.config.ssrc,
            media=self.config.media,
            encoding=self.config.encoding,
            payload_type=self.config.payload_type,
            packets=self._popped - self._unsent,
            octets=self._popped_octets - self._unsent_octets,
            not_handed_over=self._unsent,
            first=self._packetizer.first_sequence if self.started else None,
            last=self.last_sequence if self.started else None,
            units=self._units,
            unsendable=dict(self._unsendable),
            key_frames=self._key_frames,
            key_frame_requests=self._key_frame_requests,
            rtt_ms=None if self._rtt is None else self._rtt / 1e6,
            reception=self._reception,
            extended=self.extended.all(),
            rate_limit=self.rate.bitrate,
            ahead=None if self._ahead is None else (self._ahead.packets, self._ahead.octets),
            repair=None if self.repair is None else self.repair.statistics(),
        )
