"""To whom the receiver answers and what: one `Feedback` for each path that streams are answered along."""

from __future__ import annotations

import random
from collections.abc import Hashable, Iterable, Iterator, Sequence

from protocol.datagram import Transmission
from protocol.rtcp.app import App
from protocol.rtcp.compound import RtcpPacket
from protocol.rtcp.nack import Nack
from protocol.rtcp.range import RangeAcknowledgement, SenderRange
from protocol.rtcp.repair_offer import RepairOffer
from protocol.rtcp.tmmbr import BitrateRequest
from receiver.events import RateLimited
from receiver.media import StreamKey
from receiver.repair.limits import Limits
from receiver.repair.planner import Plan
from receiver.repair.terms import Terms
from receiver.rtcp.extended import Extended
from receiver.rtcp.feedback import Feedback, ReportInput
from receiver.source import Source
from receiver.stream import Stream

MAX_OFFERS = 16
"""of repair in one report: a datagram has room for more, but hardly anyone that many streams."""


class Answers:
    """RTCP out. `sources` is read whenever something is to be said."""

    def __init__(
        self,
        ssrc: int,
        cname: str,
        rng: random.Random,
        sources: Iterable[Source],
        fixed_path: Hashable | None,
        *,
        report_follows: bool = False,
    ) -> None:
        """`fixed_path`: where all RTCP goes; None: back to where each sender's comes from. `report_follows`: at the
        end, and senders are told so."""
        self._ssrc, self._cname, self._random = ssrc, cname, rng
        self._sources = sources
        self._fixed_path = fixed_path
        self._report_follows = report_follows
        self._feedback: dict[Hashable, Feedback] = {}
        self._extended = Extended()
        self._limits = Limits()
        self._offered: set[tuple[StreamKey, Hashable]] = set()
        """whose senders along which path know what repair we take."""

    def tune(self, now: int) -> None:
        """Streams have come, gone, or moved. Where one with repair begins, its sender is told at once."""
        paths = dict.fromkeys(self.path(source) for source, _ in self._playing())  # a set's order would be chance
        if paths.keys() != self._feedback.keys():
            self._feedback = {path: self._feedback.get(path) or self._new(now) for path in paths}
        self._offered &= {(stream.key, path) for _, stream in self._playing() for path in paths}
        for source, stream in self._playing():
            path = self.path(source)
            if stream.repair is not None and (stream.key, path) not in self._offered:
                self._feedback[path].hurry(now)

    def reports(self, now: int) -> list[Transmission]:
        """The regular reports that are due."""
        due = [(path, feedback) for path, feedback in self._feedback.items() if now >= feedback.next_report]
        return [Transmission((self._report(path, feedback, now),), path) for path, feedback in due]

    def _report(self, path: Hashable, feedback: Feedback, now: int) -> bytes:
        streams = [stream for source, stream in self._playing() if self.path(source) == path]
        self._offered |= {(stream.key, path) for stream in streams}
        return feedback.report(
            self._inputs(path),
            now,
            self._extended.blocks(path, streams, now),
            [*self._offers(streams), *self._asked(path)],
        )

    def watch(self, now: int) -> list[RateLimited]:
        """How full the paths are. Where one became fuller, its sender is told at once."""
        fuller, told = self._limits.look([(self.path(source), stream) for source, stream in self._playing()], now)
        for path in fuller & self._feedback.keys():
            self._feedback[path].hurry(now)
        return told

    def _asked(self, path: Hashable) -> list[BitrateRequest]:
        """What senders of ours are asked to keep to: others have not been asked whether they read it."""
        ours = [stream for source, stream in self._playing() if source.reads_reports and self.path(source) == path]
        limits = self._limits.of(ours)
        return [BitrateRequest(self._ssrc, limits)] if limits else []

    def _offers(self, streams: Sequence[Stream]) -> list[App]:
        """What repair they can use."""
        repaired = [(stream.key.ssrc, stream.repair) for stream in streams if stream.repair is not None]
        return [
            _offer(self._ssrc, ssrc, repair.planning.plan, repair.terms).to_app()
            for ssrc, repair in repaired[:MAX_OFFERS]
        ]

    def offer_again(self, key: StreamKey) -> None:
        """What repair this stream can use has changed; `tune` says so."""
        self._offered = {(offered, path) for offered, path in self._offered if offered != key}

    def nacks(self, now: int) -> list[Transmission]:
        """Requests for retransmission that are due, one datagram for each far end."""
        asking: dict[tuple[Hashable, bool], list[Nack]] = {}
        for source, stream in self._playing():
            numbers = stream.ask(now, promised=source.reads_reports)
            if numbers:
                wrapped = tuple(number & 0xFFFF for number in numbers)
                way = self.path(source), source.reads_reports
                asking.setdefault(way, []).append(Nack(self._ssrc, source.ssrc, wrapped))
        found = []
        for (path, ours), nacks in asking.items():
            if (feedback := self._feedback.get(path)) is not None:
                data = feedback.nack(nacks, now, reduced=ours)
                found += [] if data is None else [Transmission((data,), path)]
        return found

    def requests(self, now: int) -> Iterator[tuple[Transmission, list[Stream]]]:
        """Requests for key frames that may go now, and the streams they are for."""
        for path, wanting in self._wanting().items():
            feedback = self._feedback[path]
            ready = feedback.ask_now({ssrc: stream.key_frame_wait for ssrc, stream in wanting.items()}, now)
            if ready:
                requests = [feedback.picture_loss(ssrc) for ssrc in ready]
                yield self._compound(path, feedback, requests, now), [wanting[ssrc] for ssrc in ready]

    def next_time(self, now: int) -> int | None:
        """Monotonic ns at which something is due."""
        times = [feedback.next_report for feedback in self._feedback.values()]
        for path, wanting in self._wanting().items():
            feedback = self._feedback[path]
            times += [feedback.next_request(ssrc, stream.key_frame_wait, now) for ssrc, stream in wanting.items()]
        return min(times, default=None)

    def acknowledge(self, final: SenderRange, path: Hashable, now: int) -> Transmission:
        """A sender's last word was heard: a report that knows it, and says so."""
        feedback = self._feedback.get(path) or self._new(now)
        known = RangeAcknowledgement(self._ssrc, final.ssrc, final.last, self._report_follows).to_app()
        return self._compound(path, feedback, [known], now)

    def goodbye(self, now: int) -> list[Transmission]:
        return [self._compound(path, feedback, [feedback.goodbye()], now) for path, feedback in self._feedback.items()]

    def _new(self, now: int) -> Feedback:
        return Feedback(self._ssrc, self._cname, self._random, now)

    def _playing(self) -> Iterator[tuple[Source, Stream]]:
        return ((source, stream) for source in self._sources if (stream := source.playing) is not None)

    def path(self, source: Source) -> Hashable:
        """Where the sender's RTCP comes from; before any came, where it was agreed to go, or where its media comes from
        (RFC 5761)."""
        paths = self._fixed_path, source.rtcp_path, source.types.rtcp_path, source.path
        return next((path for path in paths if path is not None), None)

    def _wanting(self) -> dict[Hashable, dict[int, Stream]]:
        """Streams that cannot go on without a key frame, by path and SSRC."""
        wanting: dict[Hashable, dict[int, Stream]] = {}
        for source, stream in self._playing():
            if stream.key_frames.wanted and (path := self.path(source)) in self._feedback:
                wanting.setdefault(path, {})[source.ssrc] = stream
        return wanting

    def _compound(self, path: Hashable, feedback: Feedback, more: Iterable[RtcpPacket], now: int) -> Transmission:
        return Transmission((feedback.compound(self._inputs(path), more, now),), path)

    def _inputs(self, path: Hashable) -> list[ReportInput]:
        inputs = []
        for source, stream in self._playing():
            reception = stream.ledger.reception()
            if reception is not None and self.path(source) == path:
                last = source.last_report
                report = None if last is None else (last[0].ntp_timestamp, last[1])
                inputs.append(ReportInput(source.ssrc, reception, stream.delay.jitter_ticks, report))
        return inputs


def _offer(ssrc: int, media_ssrc: int, plan: Plan, terms: Terms) -> RepairOffer:
    return RepairOffer(
        ssrc,
        media_ssrc,
        rtx=True,
        fec=terms.fec,
        red=terms.red,
        fec_share=min(255, round(256 * plan.fec_share)),
        red_depth=plan.red_depth,
        fec_frames=plan.fec_frames if plan.fec_share else 0,
        deadline_ms=min(0xFFFF, terms.wait // 1_000_000),
    )
