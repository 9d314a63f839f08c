"""The sender's side of one destination, sans-IO: access units and RTCP in, datagrams and events out.

It owns the order of things; the arithmetic is in `sender.transmit`. Sound never waits behind pictures, the first sender
report leaves with the first packet of its stream, and the end is announced until a receiver has acknowledged it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from protocol.datagram import Batch, Transmission
from protocol.errors import ProtocolError
from protocol.rtcp import compound, repair_offer, report_pieces
from protocol.rtcp import range as sender_range
from protocol.rtcp.app import App
from protocol.rtcp.bye import Bye
from protocol.rtcp.fir import FullIntraRequest
from protocol.rtcp.nack import Nack
from protocol.rtcp.pli import PictureLossIndication
from protocol.rtcp.range import SenderRange
from protocol.rtcp.repair_offer import RepairOffer
from protocol.rtcp.report_block import ReportBlock
from protocol.rtcp.report_exchange import ReportExchange
from protocol.rtcp.report_pieces import PieceAcknowledgement, ReportPiece
from protocol.rtcp.rr import ReceiverReport
from protocol.rtcp.sdes import SourceDescription
from protocol.rtcp.sr import SenderReport
from protocol.rtcp.tmmbr import BitrateNotification, BitrateRequest
from protocol.rtcp.xr import Block, ExtendedReport, ReferenceTime, RunLengths, StatisticsSummary, VoipMetrics
from protocol.rtp import rtcp_mask
from protocol.srtp.refused import REPLAYED, UNAUTHENTICATED, Refused
from sender.events import Event as Event
from sender.events import KeyFrameRequested as KeyFrameRequested
from sender.events import LossReported as LossReported
from sender.events import PeerLeft as PeerLeft
from sender.events import PeerReport as PeerReport
from sender.events import PeerSeen as PeerSeen
from sender.events import RateLimited as RateLimited
from sender.media import AccessUnit
from sender.snapshot import SenderStatistics as SenderStatistics
from sender.transmit.farewell import Farewell
from sender.transmit.offers import Offers
from sender.transmit.outgoing import OutgoingStream
from sender.transmit.packetizer import max_payload
from sender.transmit.references import References
from sender.transmit.reports import compound_report
from sender.transmit.schedule import ReportSchedule
from sender.transmit.stream import StreamConfig as StreamConfig

_MAX_PEERS = 1024
OFFER_LIFETIME = 6_000_000_000
"""ns for which what a receiver said of repair is true without another word of it: they report twice a second."""
Repair = Literal["auto", "nack", "none"]
"""Who gets repair: those who announced that they take it; everybody who asks (RFC 4585, 4588); nobody."""


@dataclass(frozen=True, slots=True)
class SessionOutput:
    """What a session wants done now."""

    transmissions: list[Transmission]
    events: list[Event]


class SenderSession:
    """One destination, own SSRCs and numbers. Every `now` is monotonic ns and never goes back."""

    def __init__(
        self,
        streams: Sequence[StreamConfig],
        *,
        cname: str,
        now: int,
        wall: int,
        random: Random,
        max_datagram: int = 1200,
        repair: Repair = "none",
        fec: float | None = None,
        from_target: Callable[[Hashable], bool] = lambda _: True,
    ) -> None:
        """`wall`: Unix time at `now`, ns. `max_datagram`: bytes of UDP payload. `from_target`: whether what came along
        a path comes from where media goes: repair is sent to nobody else's wish. `fec`: octets of repair packets for
        each of media that the user decided on; None: as receivers wish."""
        if repair == "none":
            streams = [replace(config, rtx_payload_type=None, fec_ssrc=None) for config in streams]
        room = max_payload(max_datagram)
        self._streams = [OutgoingStream(config, random, room, wall - now) for config in streams]
        self._repair, self._fec, self._from_target, self._offers = repair, fec, from_target, Offers()
        self._by_ssrc = {stream.config.ssrc: index for index, stream in enumerate(self._streams)}
        self._audio_first = sorted(self._streams, key=lambda stream: stream.config.media != "audio")
        self._cname = cname
        self._schedule = ReportSchedule(sum(config.bitrate for config in streams), len(streams), random)
        self._farewell: Farewell | None = None
        self._events: list[Event] = []
        self._references = References()
        self._exchange = ReportExchange(cname, max_datagram)
        self._addressed: dict[int, int] = {}
        """receiver → the stream that its report was addressed to, until it gets ours."""
        self._peers: dict[int, int] = {}
        self._peers_seen = 0
        self._received = 0
        self._unparsed: dict[str, int] = {}
        self.closed = False
        """the goodbye has been polled."""

    # In

    def send(self, stream_index: int, unit: AccessUnit, now: int) -> None:
        """Queue an access unit of one stream; nothing is taken after `close`."""
        if self._farewell is None:
            self._streams[stream_index].push(unit, now)

    def handle_datagrams(self, batch: Batch, now: int) -> None:
        """What came back: RTCP. Everything else is counted by reason."""
        self._received += len(batch)
        near = batch.authentic or self._from_target(batch.path)
        for index, is_rtcp in enumerate(rtcp_mask(batch)):
            if not is_rtcp:
                self._discard("not_rtcp")
                continue
            data = batch.datagram(index)
            try:
                packets = compound.parse(data)
            except ProtocolError as error:
                self._discard(error.reason)
                continue
            self._schedule.count(len(data))
            for packet in packets:
                if isinstance(packet, Nack):
                    self._handle_nack(packet, now, near=near)
                elif isinstance(packet, BitrateRequest):
                    self._handle_bitrate_request(packet, now, near=near)
                else:
                    self._handle_packet(packet, int(batch.arrival_times[index]), now)

    def refuse(self, refused: Refused) -> None:
        """Datagrams that were not let in because of their encryption."""
        self._received += refused.total()
        told = refused.reasons + Counter({UNAUTHENTICATED: refused.corrupted.total(), REPLAYED: len(refused.replayed)})
        for reason, count in told.items():
            self._unparsed[reason] = self._unparsed.get(reason, 0) + count

    def handle_timeout(self, now: int) -> None:
        """Time has passed: a sender has nothing to give up, `poll` sends what became due."""

    def handle_unsent(self, datagrams: Iterable[bytes]) -> None:
        """The system did not take these: the network cannot have lost them."""
        for datagram in datagrams:
            index = self._by_ssrc.get(int.from_bytes(datagram[8:12]))
            if index is not None and not 192 <= datagram[1] <= 223:
                self._streams[index].unsent(datagram)

    def handle_unreachable(self, now: int) -> None:
        """Nobody is there: an end that has been announced will not be acknowledged."""
        if self._farewell is not None:
            self._farewell.hurry(now)

    def handle_told(self, now: int) -> None:
        """The other end has the final ranges, by its word in the control connection."""
        if self._farewell is not None:
            self._farewell.told(now)

    def close(self, now: int) -> None:
        """Everything queued leaves at once, then the final range until it is acknowledged, then BYE."""
        if self._farewell is not None:
            return
        for stream in self._streams:
            stream.flush(now)
        self._farewell = Farewell((s.config.ssrc for s in self._streams if s.started or s.next_time() is not None), now)
        if self._everyone_left():
            self._farewell.hurry(now)

    @property
    def ending(self) -> bool:
        """`close` was called."""
        return self._farewell is not None

    def final_ranges(self) -> list[SenderRange]:
        """What every stream that has begun will have numbered once everything queued has left."""
        return [stream.final_range() for stream in self._streams if stream.begun]

    @property
    def report_limit(self) -> int:
        """Octets that a report may have to be offered."""
        return self._exchange.limit

    def offer_report(self, to: int, data: bytes | None, now: int) -> None:
        """Our report for the receiver with this SSRC, in answer to its own (`PeerReport`); None: it gets none."""
        ssrc = self._addressed.pop(to, self._streams[0].config.ssrc)
        if data is not None:
            self._exchange.offer(ssrc, to, data, self._streams[self._by_ssrc[ssrc]].config.rtcp_path, now)
        if self._farewell is not None:
            self._farewell.reported(to)

    # Out

    def poll(self, now: int) -> SessionOutput:
        """What is due, in the order in which it is to leave."""
        transmissions: list[Transmission] = []
        beginning = []
        for stream in self._audio_first:
            was_started = stream.started
            repair = [] if stream.repair is None else stream.repair.pop(now)
            datagrams = repair + stream.pop(now)
            if datagrams:
                transmissions.append(Transmission(datagrams, stream.config.rtp_path))
                if not was_started:
                    beginning.append(stream)
        transmissions += self._exchange.poll(now)
        transmissions += self._reports(beginning, now)
        events, self._events = self._events, []
        return SessionOutput(transmissions, events)

    def next_timeout(self) -> int | None:
        """When `poll` will have something even if nothing comes in, monotonic ns; None: never."""
        if self.closed:
            return None
        times = [stream.next_time() for stream in self._streams]
        times += [stream.repair.next_time() for stream in self._streams if stream.repair is not None]
        times.append(self._exchange.next_time())
        times.append(self._schedule.next_time() if self._farewell is None else self._farewell.next_time())
        return min((time for time in times if time is not None), default=None)

    def positions(self) -> list[tuple[int, int]]:
        """Of each stream: the extended number of its next packet, and what its timestamps are offset by."""
        return [stream.position for stream in self._streams]

    def statistics(self, now: int) -> SenderStatistics:
        """A frozen copy of everything counted."""
        return SenderStatistics(
            now,
            tuple(stream.statistics() for stream in self._streams),
            self._received,
            dict(self._unparsed),
            self._peers_seen,
        )

    def _reports(self, beginning: Sequence[OutgoingStream], now: int) -> list[Transmission]:
        started = [stream for stream in self._audio_first if stream.started]
        if self._farewell is not None:
            return self._farewell_reports(self._farewell, started, now)
        if beginning:
            self._schedule.start(now)
        self._forget_offers(now)
        due = started if self._schedule.due(now) else beginning
        return [self._report(stream, now) for stream in due]

    def _farewell_reports(self, farewell: Farewell, started: Sequence[OutgoingStream], now: int) -> list[Transmission]:
        if self.closed:
            return []
        if farewell.over(now, busy=self._exchange.busy(now)):
            self.closed = True
            return [self._report(stream, now, final=True, goodbye=True) for stream in started]
        if not farewell.due(now):
            return []
        unheard = farewell.unheard(self._peers)
        return [self._report(s, now, final=True) for s in started if s.config.ssrc in unheard]

    def _report(self, stream: OutgoingStream, now: int, *, final: bool = False, goodbye: bool = False) -> Transmission:
        report, sent = stream.sender_report(now), stream.range(final=final)
        index = self._by_ssrc[stream.config.ssrc]
        self._follow_limits(index, now)
        limit = stream.rate.lowest(now)
        limits = None if limit is None else BitrateNotification(stream.config.ssrc, (limit,))
        data = compound_report(report, self._cname, sent, self._references.echo(now), goodbye=goodbye, limits=limits)
        self._schedule.count(len(data))
        return Transmission([data], stream.config.rtcp_path)

    # What receivers say

    def _handle_packet(self, packet: compound.RtcpPacket, arrival_time: int, now: int) -> None:
        match packet:
            case ReceiverReport(ssrc=ssrc, reports=reports) | SenderReport(ssrc=ssrc, reports=reports):
                if self._greet(ssrc, now):
                    self._handle_reports(ssrc, reports, arrival_time)
            case PictureLossIndication(sender_ssrc=sender, media_ssrc=media):
                self._handle_key_frame_request(sender, media, None)
            case FullIntraRequest(sender_ssrc=sender, entries=entries):
                for media, number in entries:
                    self._handle_key_frame_request(sender, media, number)
            case App():
                self._handle_app(packet, now)
            case Bye(sources=sources, reason=reason):
                self._handle_bye(sources, reason, now)
            case ExtendedReport(ssrc=ssrc, blocks=blocks):
                if ssrc in self._peers:
                    self._handle_extended(ssrc, blocks, arrival_time, now)
            case SourceDescription():
                pass  # names of receivers: nothing depends on them
            case _:
                self._discard("rtcp_unknown")

    def _greet(self, ssrc: int, now: int) -> bool:
        """Remember a receiver, the longest silent one makes room; False for our own packets coming back."""
        if ssrc in self._by_ssrc:
            self._discard("own_packet_returned")
            return False
        if self._peers.pop(ssrc, None) is None:
            self._peers_seen += 1
            self._events.append(PeerSeen(ssrc))
            if len(self._peers) >= _MAX_PEERS:
                silent = next(iter(self._peers))
                del self._peers[silent]
                self._offers.forget(silent)
        self._peers[ssrc] = now
        self._schedule.members(len(self._peers))
        return True

    def _handle_reports(self, reporter: int, reports: Iterable[ReportBlock], arrival_time: int) -> None:
        for block in reports:
            index = self._by_ssrc.get(block.ssrc)
            if index is None:
                self._discard("report_of_other_source")
            else:
                stream = self._streams[index]
                stream.handle_report_block(reporter, block, arrival_time)
                if stream.config.media == "audio":
                    self._events.append(LossReported(index, stream.unrepaired))

    def _handle_extended(self, reporter: int, blocks: Iterable[Block], arrival_time: int, now: int) -> None:
        for block in blocks:
            match block:
                case ReferenceTime():
                    if self._references.hear(reporter, block, arrival_time):
                        self._schedule.hurry(now)
                case RunLengths(ssrc=media) | StatisticsSummary(ssrc=media) | VoipMetrics(ssrc=media):
                    if (index := self._by_ssrc.get(media)) is not None:
                        self._streams[index].extended.hear(reporter, block)

    def _handle_key_frame_request(self, sender: int, media: int, number: int | None) -> None:
        """A PLI (no number) or one entry of a FIR."""
        index = self._by_ssrc.get(media)
        if index is None:
            self._discard("request_for_other_source")
        elif number is None:
            self._streams[index].handle_key_frame_request()
            self._events.append(KeyFrameRequested(index, "picture lost"))
        elif self._streams[index].handle_full_intra_request(sender, number):
            self._events.append(KeyFrameRequested(index, "full intra request"))

    def _handle_nack(self, nack: Nack, now: int, *, near: bool) -> None:
        index = self._by_ssrc.get(nack.media_ssrc)
        if index is None:
            self._discard("request_for_other_source")
        elif not near:
            self._discard("nack_from_elsewhere")
        elif (repair := self._streams[index].repair) is None or not self._takes_rtx(nack.sender_ssrc, nack.media_ssrc):
            self._discard("nack_unanswered")
        else:
            repair.answer(nack.sequence_numbers, now)

    def _handle_bitrate_request(self, request: BitrateRequest, now: int, *, near: bool) -> None:
        for limit in request.limits:
            index = self._by_ssrc.get(limit.ssrc)
            if index is None:
                self._discard("request_for_other_source")
            elif not near or request.sender_ssrc not in self._peers:
                self._discard("limit_from_elsewhere")
            else:
                self._streams[index].rate.request(request.sender_ssrc, limit, now)
                self._follow_limits(index, now)

    def _follow_limits(self, index: int, now: int) -> None:
        stream = self._streams[index]
        if stream.config.media == "video" and (change := stream.follow_limits(now)) is not None:
            self._events.append(RateLimited(index, *change))

    def _takes_rtx(self, receiver: int, media: int) -> bool:
        offer = self._offers.of(receiver, media)
        return self._repair == "nack" or (offer is not None and offer.rtx)

    def _handle_app(self, packet: App, now: int) -> None:
        try:
            message = report_pieces.parse(packet) or sender_range.parse(packet) or repair_offer.parse(packet)
        except ProtocolError as error:
            self._discard(error.reason)
            return
        match message:
            case sender_range.RangeAcknowledgement():
                self._handle_acknowledgement(message, now)
            case ReportPiece() | PieceAcknowledgement() if message.to in self._by_ssrc:
                self._handle_report_part(message, now)
            case RepairOffer() if message.ssrc in self._peers and message.media_ssrc in self._by_ssrc:
                self._offers.hear(message)
                self._heed()
            case _:
                self._discard("app_unknown")

    def _heed(self) -> None:
        """What receivers wish for now. One that said nothing takes the media as they are."""
        for stream in self._streams:
            offers = self._offers.about(stream.config.ssrc)
            stream.wish(offers, self._fec, everyone=len(offers) >= len(self._peers))

    def _forget_offers(self, now: int) -> None:
        """Who is silent may be gone, and somebody else may listen there."""
        silent = [ssrc for ssrc in self._offers.receivers() if now - self._peers.get(ssrc, 0) > OFFER_LIFETIME]
        for ssrc in silent:
            self._offers.forget(ssrc)
        if silent:
            self._heed()

    def _handle_acknowledgement(self, message: sender_range.RangeAcknowledgement, now: int) -> None:
        index = self._by_ssrc.get(message.media_ssrc)
        if self._farewell is not None and index is not None and self._streams[index].last_sequence == message.last:
            self._farewell.acknowledge(
                message.media_ssrc, message.sender_ssrc, now, report_follows=message.report_follows
            )

    def _handle_report_part(self, part: ReportPiece | PieceAcknowledgement, now: int) -> None:
        path = self._streams[self._by_ssrc[part.to]].config.rtcp_path
        report = self._exchange.receive(part, path, now)
        if report is not None and len(self._addressed) < _MAX_PEERS:
            self._addressed[part.ssrc] = part.to
            self._events.append(PeerReport(part.ssrc, report))

    def _handle_bye(self, sources: Iterable[int], reason: str, now: int) -> None:
        for ssrc in sources:
            if self._peers.pop(ssrc, None) is not None:
                self._events.append(PeerLeft(ssrc, reason))
            self._exchange.forget(ssrc)
            self._offers.forget(ssrc)
            self._heed()
            for stream in self._streams:
                stream.rate.forget(ssrc)
            if self._farewell is not None:
                self._farewell.reported(ssrc)
        if self._farewell is not None and self._everyone_left():
            self._farewell.hurry(now)

    def _everyone_left(self) -> bool:
        return bool(self._peers_seen) and not self._peers

    def _discard(self, reason: str) -> None:
        self._unparsed[reason] = self._unparsed.get(reason, 0) + 1
