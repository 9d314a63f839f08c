"""The receiving end without sockets, threads or clocks: datagrams and time in; access units, RTCP and events out.

batch ─► RTP ──► source (numbering, epochs) ─► stream (account, jitter buffer) ─► access units
   └───► RTCP ─► clock, range, goodbye             feedback ─► reports, key-frame requests
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from protocol.datagram import Batch, Transmission
from protocol.errors import ProtocolError
from protocol.payload import registry
from protocol.rtcp import compound
from protocol.rtcp import range as sender_range
from protocol.rtcp.app import App
from protocol.rtcp.bye import Bye
from protocol.rtcp.compound import RtcpPacket
from protocol.rtcp.range import SenderRange
from protocol.rtcp.rr import ReceiverReport
from protocol.rtcp.sdes import SourceDescription
from protocol.rtcp.sr import SenderReport
from protocol.rtcp.xr import ExtendedReport
from protocol.rtp import REASONS, Headers, parse_batch, rows_by_ssrc, rtcp_mask
from protocol.srtp.refused import REPLAYED, UNAUTHENTICATED, Refused
from receiver.account.local import LocalDrop
from receiver.config import Latency
from receiver.events import Event, Goodbye, KeyFrameRequested, RepairPlanned, StreamEnded, StreamStarted
from receiver.jitter.target import policy
from receiver.lip_sync import LipSync
from receiver.media import AccessUnit, Format, StreamKey
from receiver.payload_types import PayloadTypes
from receiver.presence import Presence
from receiver.repair.terms import Terms
from receiver.rtcp.allowance import Allowance
from receiver.rtcp.answers import Answers
from receiver.rtcp.exchange import echo_to
from receiver.rtcp.farewell import LONGEST, Farewell
from receiver.scopes import Scope, Scopes
from receiver.source import MOVED, Source
from receiver.sources import Heard, Sources
from receiver.statistics import SessionStatistics as SessionStatistics
from receiver.statistics import StreamStatistics
from receiver.stream import Stream

MAX_ENDED = 256
"""ended streams kept for the report."""
REPAIR_WAIT, REPAIR_GRACE = 150_000_000, 50_000_000
"""ns after the least transit in which repair should come, and beyond, unless the latency is fixed."""
TICK = 100_000_000
"""ns between looks at what no packet triggers: silence, closing, lip-sync."""


@dataclass(frozen=True, slots=True)
class SessionConfig:
    formats: Mapping[int, Format]
    """by payload type."""
    latency: Latency
    ssrc: int | None = None
    """the only one to listen to."""
    cname: str = "steadycast"
    rtcp_path: Hashable | None = None
    """where RTCP goes; None: back to where each sender's comes from."""
    rtx: Mapping[int, int] = field(default_factory=dict)
    """payload types of retransmissions, with those of their originals; none of them: nothing is asked for again."""
    fec: int | None = None
    red: int | None = None
    """payload types of Reed–Solomon repair packets and of redundant sound; None: there are none."""
    fec_share: float | None = None
    """of repair packets for each packet of media, that the user decided on; None: as planned."""
    wrapped: tuple[int, ...] = ()
    ulpfec: tuple[int, ...] = ()
    """payload types of RED around the packets of other programs, and of their ULPFEC,"""
    rebuild: bool = True
    """which is used."""
    rtx_ssrcs: Mapping[int, int] = field(default_factory=dict)
    """SSRCs of retransmissions, with those of their originals, as far as a description names them."""
    reports: bool = False
    """a report will be offered when `ReportDue` asks for it."""
    seed: int | None = None
    """of our own SSRC and the RTCP intervals; None: unpredictable, as it should be on a network."""

    @property
    def types(self) -> PayloadTypes:
        """What payload types mean where nothing else was agreed on."""
        return PayloadTypes(self.formats, self.rtx, self.rtx_ssrcs, self.fec, self.red, self.wrapped, self.ulpfec)


@dataclass(slots=True)
class SessionOutput:
    """What `poll` hands over, each list in order."""

    transmissions: list[Transmission] = field(default_factory=list)
    units: list[AccessUnit] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


class ReceiverSession:
    """Drive it with `handle_datagrams`, `handle_timeout`, `poll` and `next_timeout`; times are monotonic ns."""

    def __init__(self, config: SessionConfig, now: int) -> None:
        self._config = config
        self._random = random.Random(config.seed)
        self._ssrc = self._random.getrandbits(32)
        self._began = now
        self._sources = Sources(self._open_source, self._forget, self._parse)
        self._scopes = Scopes(config.types, self._sources, rebuild=config.rebuild)
        self._ended: list[StreamStatistics] = []
        self._forgotten = 0
        self._answers = Answers(
            self._ssrc, config.cname, self._random, self._sources, config.rtcp_path, report_follows=config.reports
        )
        self._allowance = Allowance(self._heard_for, config.rtcp_path)
        self._farewell = Farewell(self._ssrc, config.cname)
        self._presence = Presence()
        self._goodbyes: list[Transmission] = []
        self._closed = False
        """what comes now changes no figure: it is about the exchange of reports."""
        self._output = SessionOutput()
        self._datagrams = self._kernel_drops = 0
        self._unparsed: Counter[str] = Counter()
        self._next_tick = now + TICK
        self._lip_sync = LipSync(self._sources)

    # -- the four verbs ---------------------------------------------------------------------------------------

    def handle_datagrams(self, batch: Batch, now: int) -> None:
        """Whatever arrived along one path; nothing in it can raise."""
        self._allowance.heard(batch)
        control = rtcp_mask(batch)
        reports = np.count_nonzero(control)
        if not self._closed:
            self._count(batch)
            if reports < len(batch):
                self._handle_rtp(parse_batch(batch), ~control, batch, now)
        if reports:  # after what came with them: a report about a new stream finds it known
            for index in np.flatnonzero(control):
                self._handle_rtcp(batch.datagram(int(index)), int(batch.arrival_times[index]), batch.path, now)

    def refuse(self, refused: Refused, now: int) -> None:  # noqa: ARG002
        """Datagrams that were not let in because of their encryption."""
        if self._closed:
            return
        self._datagrams += refused.total()
        self._unparsed.update(refused.reasons)
        for ssrc, count in refused.corrupted.items():
            if (stream := self._stream(ssrc)) is not None:
                stream.ledger.corrupt(count)
            else:
                self._unparsed[UNAUTHENTICATED] += count
        for ssrc in {ssrc for ssrc, _ in refused.replayed}:
            numbers = [number for of, number in refused.replayed if of == ssrc]
            if (stream := self._stream(ssrc)) is not None:
                stream.repeat(numbers)
            else:
                self._unparsed[REPLAYED] += len(numbers)

    def _stream(self, ssrc: int) -> Stream | None:
        source = self._sources.get(ssrc)
        return None if source is None else source.stream

    def _heard_for(self, path: Hashable) -> set[Hashable]:
        """The paths of streams whose senders are answered along this one."""
        return {source.path for source in self._sources if self._answers.path(source) == path}

    def _count(self, batch: Batch) -> None:
        self._datagrams += len(batch)
        if batch.kernel_drops:
            self._drop_locally(batch)

    def _drop_locally(self, batch: Batch) -> None:
        """The kernel dropped datagrams before this batch, of any stream whose packets lie in the same queue."""
        self._kernel_drops += batch.kernel_drops
        drop = LocalDrop(batch.kernel_drops, exact=batch.drops_exact)
        for source in self._sources:
            if source.stream is not None and source.shares_queue(batch):
                source.stream.ledger.drop_locally(drop)

    def handle_timeout(self, now: int) -> None:
        """Gives up holes, reports, closes. Drain the socket first: what counts is when a packet arrived."""
        self._output.transmissions += self._answers.nacks(now)
        for stream in self._alive():
            self._output.units += stream.advance(now)
        self._end_sources([s for s in self._sources if s.ends_at is not None and s.ends_at <= now], now)
        if now >= self._next_tick:
            self._tick(now)
        self._output.events += self._presence.all_ended(self._alive(), now)
        self._output.events += self._farewell.take_due(now)
        self._output.transmissions += self._farewell.poll(now)
        self._output.transmissions += self._answers.reports(now)
        for transmission, streams in self._answers.requests(now):
            self._output.transmissions.append(transmission)
            self._output.events += [KeyFrameRequested(stream.key, now, stream.key_frames.why) for stream in streams]

    def _tick(self, now: int) -> None:
        self._next_tick = now + TICK
        self._output.events += self._presence.fell_silent(self._alive(), now)
        self._lip_sync.synchronise()
        self._sources.tidy(now)
        self._output.events += self._answers.watch(now)
        for stream in self._alive():
            stream.close_numbers(now)
            if why := stream.plan(now):
                self._output.events.append(RepairPlanned(stream.key, now, why))
                self._answers.offer_again(stream.key)
        self._answers.tune(now)

    def poll(self) -> SessionOutput:
        """What is to be sent, decoded and told now."""
        output, self._output = self._output, SessionOutput()
        output.transmissions = self._allowance.let(output.transmissions)
        return output

    def next_timeout(self) -> int:
        """Monotonic ns of the next `handle_timeout`."""
        last_tick = self._next_tick - TICK
        times = [self._next_tick, self._answers.next_time(last_tick), self._farewell.next_time()]
        times += [time for stream in self._waited_for() for time in (stream.next_deadline(), stream.next_request())]
        times += [source.ends_at for source in self._sources]
        return min(time for time in times if time is not None)

    # -- what the rest of the receiver says -------------------------------------------------------------------

    def request_key_frame(self, key: StreamKey, why: str) -> None:
        """The decoder cannot go on."""
        source = self._sources.get(key.ssrc)
        if source is not None and source.stream is not None and source.stream.key == key:
            source.stream.key_frames.request(why)

    def set_device_latency(self, media: str, latency: int) -> None:
        """ns from hand-over to the device until it is heard or seen: lip-sync allows for it."""
        self._lip_sync.device_latency[media] = latency

    def offer_report(self, to: int, data: bytes, path: Hashable, now: int) -> None:
        """What `ReportDue` asked for."""
        self._farewell.offer(to, data, path, now)

    def describe(self, ports: Iterable[int], types: PayloadTypes) -> None:
        """What comes along these of our UDP ports or lanes is of one agreement, and means this."""
        self._scopes.describe(ports, types)

    def forget(self, ports: Iterable[int], now: int, why: str = "") -> None:
        """Their agreement is over. With a reason its streams end, as if they had said goodbye; without, they may go on
        in another."""
        for types in self._scopes.forget(ports):
            for source in self._sources:
                if why and source.types is types:
                    self._goodbye(source, now, why)

    def final_range(self, ports: Iterable[int], sent: SenderRange, now: int) -> None:
        """What the sender of this agreement numbered in all, as it said in its control connection. Nothing follows but
        what is on its way."""
        for heard in self._sources.promote(sent.ssrc, now):
            self._receive(heard, now)
        source = None if self._closed else self._sources.get(sent.ssrc)
        for scope in {self._scopes.at(port) for port in ports} - {self._scopes.default}:
            if source is None:
                scope.expect(sent)
            elif source.types is scope.types:
                source.sender_range(sent, from_start=True)
                self._goodbye(source, now)

    def close(self, now: int) -> None:
        """Everything held comes out, the accounts are final, reports are due; then `leave`, once they are exchanged."""
        self._closed, self._goodbyes = True, self._answers.goodbye(now)
        self._end_sources([source for source in self._sources if source.playing is not None], now, "closed here")
        self._output.events += self._farewell.take_due(now + LONGEST)
        self._unparsed["unconfirmed"] += self._sources.waiting
        if not self._config.reports:
            self.leave()

    def settled(self, now: int) -> bool:
        """No report is on its way or waited for."""
        return self._farewell.over(now)

    def leave(self) -> None:
        """The senders are told that we are gone."""
        self._output.transmissions += self._goodbyes
        self._goodbyes = []

    def statistics(self) -> SessionStatistics:
        alive = [s.stream.statistics() for s in self._sources if s.stream is not None]
        return SessionStatistics(
            (*self._ended, *alive),
            {s.ssrc: s.cname for s in self._sources if s.cname is not None},
            self._datagrams,
            dict(self._unparsed + Counter(unconfirmed=self._sources.unconfirmed)),
            self._kernel_drops,
            self._forgotten,
            dict(self._scopes.unmatched()),
            self._lip_sync.planned_skew(),
        )

    def known_paths(self, now: int) -> set[Hashable]:
        """Along which certain streams and their reports come."""
        return {path for source in self._sources.proven(now) for path in (source.path, source.rtcp_path) if path}

    def heard(self, ports: Iterable[int]) -> int | None:
        """When packets of the streams of this agreement came last, monotonic ns; None: there is none that goes on."""
        agreed = {self._scopes.at(port).types for port in ports}
        streams = [source.playing for source in self._sources if source.types in agreed]
        return max((stream.last_arrival for stream in streams if stream is not None), default=None)

    @property
    def ssrc(self) -> int:
        """Our own."""
        return self._ssrc

    def streams(self) -> list[Stream]:
        """The streams alive, for reading."""
        return self._alive()

    # -- RTP --------------------------------------------------------------------------------------------------

    def _handle_rtp(self, headers: Headers, media: NDArray[np.bool_], batch: Batch, now: int) -> None:
        good = media & (headers.reason == 0)
        scope = self._scopes.of(batch.path)
        if np.count_nonzero(scope.repairs[headers.payload_type]):
            self._handle_repair(scope, headers, media, good, batch, now)
        else:
            self._handle_media(scope, headers, media, good, batch, now)

    def _handle_repair(
        self, scope: Scope, headers: Headers, media: NDArray[np.bool_], good: NDArray[np.bool_], batch: Batch, now: int
    ) -> None:
        """Some of these are: media first, so that nothing is restored that came."""
        opened = scope.opening.open(headers, batch)
        repair = good & scope.opening.repair_packets(headers)
        again = good & scope.retransmissions.among(headers)
        scope.retransmissions.receive(headers, np.flatnonzero(again), batch)
        self._handle_media(scope, headers, media, good & ~(repair | again), batch, now)
        scope.ulp.rebuild(headers, good & ~(repair | again), batch)
        scope.opening.repeat(opened)
        scope.opening.repair(headers, np.flatnonzero(repair), batch)
        for stream in self._alive():
            self._output.units += stream.advance(now)

    def _handle_media(
        self, scope: Scope, headers: Headers, media: NDArray[np.bool_], good: NDArray[np.bool_], batch: Batch, now: int
    ) -> None:
        """The `good` ones; `media` are all that are no RTCP."""
        if np.count_nonzero(good) < len(good):
            self._count_unparsed(headers.reason[media])
        elif not np.count_nonzero(headers.ssrc != headers.ssrc[0]):
            self._handle_ssrc(scope, int(headers.ssrc[0]), headers, np.arange(len(headers)), batch, now)
            return
        rows = self._without_strangers(scope, headers, np.flatnonzero(good), batch, now)
        for together in rows_by_ssrc(headers.ssrc, rows):
            self._handle_ssrc(scope, int(headers.ssrc[together[0]]), headers, together, batch, now)

    def _without_strangers(
        self, scope: Scope, headers: Headers, rows: NDArray[np.int64], batch: Batch, now: int
    ) -> NDArray[np.int64]:
        """These rows without those of unknown SSRCs that came too seldom: junk is made of them, so they cost little."""
        if self._config.ssrc is not None:
            wanted: NDArray[np.int64] = rows[headers.ssrc[rows] == self._config.ssrc]
            self._unparsed["other_ssrc"] += len(rows) - len(wanted)
            return wanted
        ssrcs, of, counts = np.unique(headers.ssrc[rows], return_inverse=True, return_counts=True)
        strange: NDArray[np.bool_] = ((counts < self._sources.needed) & ~self._sources.known(ssrcs))[of]
        few = rows[strange]
        playable = self._promising(scope, headers, few)
        self._unparsed["payload_type"] += len(few) - int(np.count_nonzero(playable))
        for heard in self._sources.hear_few(headers, few[playable], batch, now):
            self._receive(heard, now)
        others: NDArray[np.int64] = rows[~strange]
        return others

    def _promising(self, scope: Scope, headers: Headers, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of these rows, of SSRCs that are no sources yet, make a stream: media, and repair among them."""
        playable: NDArray[np.bool_] = scope.playable[headers.payload_type[rows]]
        for at in np.flatnonzero(scope.ulp.among(headers)[rows]).tolist():
            ssrc = headers.ssrc[rows[at]]
            alike = headers.ssrc[rows[:at]] == ssrc
            playable[at] = self._sources.waits(int(ssrc)) or bool(np.count_nonzero(playable[:at] & alike))
        return playable

    def _handle_ssrc(
        self, scope: Scope, ssrc: int, headers: Headers, rows: NDArray[np.int64], batch: Batch, now: int
    ) -> None:
        """The rows of a batch that belong to one SSRC."""
        if self._config.ssrc not in (None, ssrc):
            self._unparsed["other_ssrc"] += len(rows)
            return
        source = self._sources.get(ssrc)
        if source is None:
            playable = self._promising(scope, headers, rows)
            self._unparsed["payload_type"] += int(np.count_nonzero(~playable))
            rows = rows[playable]
        elif source.types is not scope.types and not self._move(source, scope, batch.path, now):
            self._unparsed["ssrc_elsewhere"] += len(rows)
            return
        if len(rows):
            for heard in self._sources.hear(ssrc, headers, rows, batch, now):
                self._receive(heard, now)

    def _move(self, source: Source, scope: Scope, path: Hashable, now: int) -> bool:
        """Packets of a source come in another agreement than its own: whether they are let in."""
        if not self._scopes.frees(source, quiet=source.quiet_for(now) >= MOVED):
            return False
        if scope.types.formats.get(source.payload_type) != source.format:
            self._end_source(source, "it means something else now", now)
        source.agreed(scope.types, path)
        return True

    def _receive(self, heard: Heard, now: int) -> None:
        source = heard.source
        before, reached, batch = source.stream, source.reached, heard.batch
        replaced = source.receive(heard.headers, heard.arrival_times, batch.buffer, now)
        further = source.reached > reached
        source.heard_from(batch.path, now, further=further, steered=batch.steered, authentic=batch.authentic)
        for stream in replaced:
            self._end_stream(stream, "it restarted", now)
            self._keep_statistics(stream)
        if source.stream is not None:
            if source.stream is not before:
                self._started(source, now)
            self._output.units += source.stream.take_units()
            self._output.events += self._presence.heard(source.stream, now)

    def _parse(self, batch: Batch) -> Headers:
        """Headers of packets that had to wait."""
        headers = parse_batch(batch)
        self._scopes.of(batch.path).opening.open(headers, batch)
        return headers

    def _open_source(self, ssrc: int, payload_type: int, path: Hashable, now: int) -> Source:
        scope = self._scopes.of(path)
        source = Source(ssrc, payload_type, scope.types, path, self._open_stream, self._began, now)
        if (sent := scope.expected(ssrc)) is not None:
            source.sender_range(sent, from_start=True)
        return source

    def _forget(self, source: Source, now: int) -> None:
        self._end_source(source, "too many others", now)
        if source.stream is not None:
            self._keep_statistics(source.stream)

    def _keep_statistics(self, stream: Stream) -> None:
        """For the report; when it is full, the shortest stream makes room."""
        self._ended.append(stream.statistics())
        if len(self._ended) > MAX_ENDED:
            self._ended.remove(min(self._ended, key=lambda ended: ended.packets))
            self._forgotten += 1

    def _open_stream(self, key: StreamKey, form: Format, payload_type: int, types: PayloadTypes, now: int) -> Stream:
        depacketizer = registry.depacketizer(form.encoding, form.clock_rate, form.channels, form.parameters)
        target, terms = policy(self._config.latency, form.media), self._terms(payload_type, types)
        return Stream(key, form, payload_type, depacketizer, target, now, terms)

    def _terms(self, payload_type: int, types: PayloadTypes) -> Terms | None:
        """Of repair for streams of this payload type; None where there is none."""
        if payload_type not in types.rtx.values():
            return None
        fixed = self._config.latency.fixed
        wait, grace = (REPAIR_WAIT, REPAIR_GRACE) if fixed is None else (fixed, 0)
        return Terms(wait, types.fec is not None, types.red is not None, self._config.fec_share, grace)

    def _started(self, source: Source, now: int) -> None:
        assert source.stream is not None
        self._presence.began()
        self._output.events.append(StreamStarted(source.stream.key, source.format, now))
        self._answers.tune(now)
        self._lip_sync.synchronise()

    def _count_unparsed(self, reasons: np.ndarray) -> None:
        for code, count in enumerate(np.bincount(reasons).tolist()):
            if code and count:
                self._unparsed[REASONS[code]] += count

    # -- RTCP in ----------------------------------------------------------------------------------------------

    def _handle_rtcp(self, data: bytes, arrival: int, path: Hashable, now: int) -> None:
        try:
            packets = compound.parse(data)
            for packet in packets:
                self._handle_packet(packet, arrival, path, now)
            if isinstance(packets[0], SenderReport):
                source = self._heard_along(path, packets[0].ssrc)
                if source is not None:
                    source.reported(len(data))
        except ProtocolError as error:
            self._unparsed[error.reason] += not self._closed

    def _handle_packet(self, packet: RtcpPacket, arrival: int, path: Hashable, now: int) -> None:
        match packet:
            case SenderReport() | ReceiverReport() if packet.ssrc == self._ssrc:
                self._unparsed["own_packet_returned"] += 1
            case SenderReport() if not self._closed:
                if (source := self._reported(packet.ssrc, path, now)) is not None:
                    source.reported_from(path, now)
                    source.sender_report(packet, arrival)
                    self._answers.tune(now)
            case SourceDescription():
                for chunk in packet.chunks:
                    if (source := self._heard_along(path, chunk.ssrc)) is not None and chunk.cname is not None:
                        source.cname = chunk.cname
            case App():
                self._handle_app(packet, path, now)
            case ExtendedReport():
                source, echo = self._heard_along(path, packet.ssrc), echo_to(self._ssrc, packet)
                if source is not None and echo is not None:
                    source.echoed(echo, arrival)
            case Bye():
                for ssrc in packet.sources:
                    if (source := self._heard_along(path, ssrc)) is not None:
                        self._goodbye(source, now)
            case _:
                pass  # reports and requests are for senders

    def _reported(self, ssrc: int, path: Hashable, now: int) -> Source | None:
        """The source a sender report is about; that it came proves one of which a packet waits."""
        for heard in self._sources.promote(ssrc, now):
            self._receive(heard, now)
        return self._heard_along(path, ssrc)

    def _heard_along(self, path: Hashable, ssrc: int) -> Source | None:
        """The source that RTCP along this path may be about: nobody outside an agreement speaks for its streams."""
        source = self._sources.get(ssrc)
        return source if source is not None and source.types is self._scopes.of(path).types else None

    def _goodbye(self, source: Source, now: int, why: str = "the sender said goodbye") -> None:
        if source.playing is not None and source.ends_at is None:
            source.goodbye(now, why)
            self._presence.goodbye(now)
            self._output.events.append(Goodbye(source.playing.key, source.format, now))

    def _handle_app(self, packet: App, path: Hashable, now: int) -> None:
        self._output.events += self._farewell.handle(packet, path, now)
        meaning = sender_range.parse(packet)
        if not isinstance(meaning, SenderRange):
            return
        source = None if self._closed else self._heard_along(path, meaning.ssrc)
        if source is not None:
            source.sender_range(meaning)
        if meaning.final:
            if source is not None:
                self._goodbye(source, now)  # nothing follows, also where BYE is lost
            self._output.transmissions.append(self._answers.acknowledge(meaning, path, now))

    # -- time -------------------------------------------------------------------------------------------------

    def _alive(self) -> list[Stream]:
        return [stream for source in self._sources if (stream := source.playing) is not None]

    def _waited_for(self) -> list[Stream]:
        """Those of which something may fall due at a moment."""
        return self._alive()

    def _end_sources(self, sources: list[Source], now: int, why: str = "") -> None:
        """These. A sender of ours of whose streams none is left wants our report, once they have been played."""
        for source in sources:
            self._end_source(source, why or source.why_ended, now)
        if self._config.reports:
            self._farewell.ended(sources, self._sources, self._answers.path, now, at_once=self._closed)

    def _end_source(self, source: Source, why: str, now: int) -> None:
        source.end()
        if source.stream is not None:
            self._end_stream(source.stream, why, now)

    def _end_stream(self, stream: Stream, why: str, now: int) -> None:
        if stream.ended:
            return
        self._output.units += stream.end(now, left=self._closed)
        self._presence.ended(stream.key)
        self._output.events.append(StreamEnded(stream.key, stream.format, now, why))
