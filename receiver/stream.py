"""One numbering of one source, from headers to access units: account, jitter buffer, depacketizer in a row."""

from __future__ import annotations

from collections import Counter
from itertools import zip_longest
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from protocol.errors import ProtocolError
from protocol.payload.base import Depacketizer
from receiver.account.bursts import Bursts
from receiver.account.clock import SenderClock
from receiver.account.closing import drain
from receiver.account.delay import Delay
from receiver.account.gilbert_elliott import LossRuns
from receiver.account.histogram import Histogram
from receiver.account.ledger import Ledger
from receiver.account.loss_trace import LossTrace
from receiver.account.one_way import OneWay, TwoWay
from receiver.account.route import Route
from receiver.jitter.buffer import Frame, JitterBuffer, Packets
from receiver.jitter.framing import Framing
from receiver.jitter.target import TargetDelay
from receiver.jitter.together import together
from receiver.key_frames import KeyFrames
from receiver.media import AccessUnit, Format, StreamKey
from receiver.repair.ahead import Ahead
from receiver.repair.holes import Holes
from receiver.repair.repair import Repair
from receiver.repair.terms import Terms
from receiver.statistics import StreamStatistics as StreamStatistics

MAX_CONCEALED = 25
"""consecutive missing audio packets (0.5 s) that are worth a unit each: concealment has faded by then."""

FIRST_WAIT = 80_000_000
"""ns that frames are waited for at least until a key frame has come: nothing can be shown before, the path's jitter is
not known yet, and asking for another takes a round trip, if the sender listens at all."""
QUICKER = 10_000_000
"""ns by which the least transit must have fallen to be another path, not another estimate."""
_OUTAGE = 100_000_000
"""ns for which a gap has been beyond repair before nothing is hoped for any more, reordering included."""
_MANY = 32
"""packets of a stream that nobody plays from which on its frames are found with NumPy."""
HEADERS = 40
"""octets of IPv4, UDP and RTP in each packet."""
_ALIVE = 1_000_000_000
"""ns since its last packet in which a stream is not silent."""
KEY_FRAME_TIME = 100_000_000
"""ns that a key frame takes beside the round trip: the next picture, and its sending."""
SYNC_SLACK = 10_000_000
"""ns by which sound may be off before lip-sync moves it."""
PERCENTILES = {"50": 0.50, "95": 0.95, "99": 0.99}


class Stream:
    """State of one StreamKey; the session owns it and calls it in the order of arrival."""

    def __init__(
        self,
        key: StreamKey,
        form: Format,
        payload_type: int,
        depacketizer: Depacketizer,
        target: TargetDelay,
        now: int,
        terms: Terms | None = None,
    ) -> None:
        """`terms` of repair; None: there is none."""
        self.key, self.format, self.payload_type = key, form, payload_type
        self.started = self.last_arrival = now
        self.extra = 0
        """ns of lip-sync beyond the target."""
        self._bursts, self._losses, self.loss_trace = Bursts(), LossRuns(), LossTrace()
        self.ledger = Ledger((self._bursts,), (self._losses, self.loss_trace))
        self._rtcp_octets = self._rtcp_packets = 0
        self.clock = SenderClock(form.clock_rate)
        self.delay = Delay(form.clock_rate, self.clock)
        self._route = Route()
        self.newest_timestamp = 0
        """unwrapped RTP timestamp of the packet that came last."""
        self._reached = 0
        """timestamp up to which outages were looked for."""
        self.longest_rtt = 0
        """ns; 0 while none is known."""
        self._round_trip: int | None = None
        self._one_way: OneWay | None = None
        self.ended = False
        self._learns_from = 0
        """RTP timestamp from which on frames came along the present path."""
        self._is_sound, self._is_load = form.media == "audio", form.media == "load"
        self._at_once = False
        self._quickest: int | None = None
        self.rate_limit: int | None = None
        """bit/s that its sender is asked to keep to, headers and repair included; None: there is no limit."""
        self.congested = False
        """its path is full."""
        self.key_frames = KeyFrames(depacketizer, predicted=form.media == "video" and form.encoding.upper() != "JPEG")
        self._depacketizer = depacketizer
        self._target = target
        self._framing = Framing(depacketizer)
        self._buffer = JitterBuffer(self._framing, every_packet_is_a_frame=self._is_sound)
        self._units: list[AccessUnit] = []
        self.packets = self._octets = 0
        self._buffer_delay = self._emitted = self._playout_delay = 0
        self._playout_delays = Histogram()
        self._unusable: Counter[str] = Counter()
        self.holes: Holes | None = None
        """where repair shares its numbering."""
        self.repair: Repair | None = None
        if terms is not None:
            ahead = Ahead(key.ssrc, payload_type, self._framing.duration)
            self.repair = Repair(form.clock_rate, terms, ahead, self, sound=self._is_sound)

    # -- in ---------------------------------------------------------------------------------------------------

    def receive(self, packets: Packets, now: int) -> None:
        """Packets of this stream, every copy, in the order of their arrival."""
        arrivals = packets.arrival_time
        self._at_once = self._is_load and len(packets) > _MANY
        self.packets += len(packets)
        self._octets += sum(packets.payload_length.tolist())
        self.last_arrival = int(arrivals[-1])
        self.newest_timestamp = int(packets.timestamp[-1])
        if self.ended:
            self.ledger.arrive(packets.sequence, arrivals)
            return
        self._release(int(arrivals[0]) - 1)
        excess = self._follow_clock(packets)
        if not self._is_load:
            quickest = int(excess.min())
            self._quickest = quickest if self._quickest is None else min(self._quickest, quickest)
        if self._is_sound and int(packets.sequence[0]) > self._buffer.highest:
            self._target.awaited(int(excess[0]), int(arrivals[0]))
        if self._deadline_within(packets):
            at = 0
            while at < len(packets):
                self._release(int(arrivals[at]) - 1)
                part = slice(at, at + self._together(packets, at))
                self._account(packets.select(part), excess[part])
                at = part.stop
        else:
            self._account(packets, excess)
        self._release(now)

    def repeat(self, sequence_numbers: list[int]) -> None:
        """Packets with these numbers (16 bits) that had come before, by their headers: what is in them nobody knows."""
        self.packets += self.ledger.repeat(sequence_numbers)

    def _follow_clock(self, packets: Packets) -> NDArray[np.int64]:
        """By how many ns each took longer than the least transit. Its estimate moves, playout does not: what frames
        needed above it is counted anew. Only a quicker path is followed at once, and what was captured before says
        nothing about it."""
        timestamp, known = self.newest_timestamp, self.packets > len(packets)
        before = self.clock.local_time(timestamp) if known else 0
        excess = self.delay.observe(packets.timestamp, packets.arrival_time)
        slower = self.clock.local_time(timestamp) - before if known else 0
        if slower < -QUICKER:
            self._learns_from = timestamp
        elif slower:
            self._target.rebase(slower)
        return excess if self._is_load else self._follow_route(excess, int(packets.arrival_time[-1]))

    def _follow_route(self, excess: NDArray[np.int64], now: int) -> NDArray[np.int64]:
        """The same above the least transit of a longer route, where that is what they came along."""
        reception = self.ledger.reception()
        missing = 0 if reception is None else reception.expected - reception.received
        slower = self._route.observe(int(excess.min()), missing, now)
        if not slower:
            return excess
        self.clock.rerouted(slower)
        self._target.rebase(slower)
        above: NDArray[np.int64] = np.maximum(excess - slower, 0)
        return above

    def _deadline_within(self, packets: Packets) -> bool:
        """Whether something was due after the first of these arrived, and before the last."""
        last = int(packets.arrival_time[-1])
        if len(packets) == 1 or last == packets.arrival_time[0]:
            return False
        waiting = self.next_deadline()
        return self._deadline(int(packets.timestamp.min())) < last or (waiting is not None and waiting < last)

    def _together(self, packets: Packets, at: int) -> int:
        """How many packets from this one on can be booked together though something is due among them."""
        if not self._is_load:
            return 1
        return together(packets.sequence[at:], packets.arrival_time[at:], self._buffer.highest, self.next_deadline())

    def _account(self, packets: Packets, excess: NDArray[np.int64]) -> None:
        """Packets of which none, or the only one, is too late for a listener."""
        arrival, timestamp = int(packets.arrival_time[0]), int(packets.timestamp[0])
        if self._is_sound and self._emitted and arrival > self._deadline(timestamp):
            self._miss(int(packets.sequence[0]) + 1)
        fresh = self.ledger.arrive(packets.sequence, packets.arrival_time)
        outage = self._outage_before(int(packets.sequence[0]), timestamp, arrival)
        if np.count_nonzero(fresh) == len(fresh):
            useful = packets
        else:
            useful, excess = packets.select(fresh), excess[fresh]
        self.delay.count(excess)
        if self._buffer.insert(useful):
            self._learn_from_late(useful)
        if self.repair is not None and len(useful):
            self.repair.originals(useful)
        if outage and self.key_frames.began:
            self._go_on_from(int(packets.sequence[0]))

    def _outage_before(self, number: int, timestamp: int, arrival: int) -> bool:
        """Whether packets are missing before this one, so long that no repair is in time."""
        missing, before = number - self._buffer.highest - 1, self._reached
        self._reached = timestamp
        if missing <= 0 or self._buffer.highest < 0:
            return False
        began = before + (timestamp - before) // (missing + 1)
        return self._repair_deadline(began) < arrival - _OUTAGE

    def _go_on_from(self, number: int) -> None:
        """Nothing before is worth asking for: pictures need another key frame."""
        if self.repair is not None:
            self.repair.nacks.give_up_below(number)
        self.key_frames.request("packets are missing")

    def _miss(self, until: int) -> None:
        """Sound after its deadline was missed by the listener, also where no later packet overtook it."""
        self._buffer.skip_to(until)
        self.ledger.expect(until)
        self.ledger.decide(until)

    def _learn_from_late(self, packets: Packets) -> None:
        assert self._buffer.cursor is not None
        for i in np.flatnonzero(packets.sequence < self._buffer.cursor):
            if self.repair is None or not self.repair.nacks.was_repaired(int(packets.sequence[i])):
                self._learn(int(packets.timestamp[i]), int(packets.arrival_time[i]))

    def _learn(self, timestamp: int, arrival: int) -> None:
        if timestamp >= self._learns_from:
            self._target.observe(arrival - self.clock.local_time(timestamp), arrival)

    def take_back(self, packet: Packets, how: Literal["rtx", "fec"]) -> bool:
        """One that was lost came by another way. It fills its place, where it is still of use, and is no measure of the
        path; but of late sound it is learnt how long it would have had to wait."""
        timestamp, arrival = int(packet.timestamp[0]), int(packet.arrival_time[0])
        in_time = arrival <= (self.playout_time(timestamp) if self._is_sound else self._repair_deadline(timestamp))
        useful = in_time and bool(self.ledger.recover(packet.sequence, how)[0])
        if useful:
            self._buffer.insert(packet)
            if how == "rtx":
                self._target.retransmitted(arrival - self.clock.local_time(timestamp), arrival)
        elif self._is_sound and self.repair is not None and not self.repair.least:
            self._learn(timestamp, arrival)
        return useful

    def plan(self, now: int) -> str:
        """Look at what repair suits; the reason where that is something new, else empty."""
        repair = self.repair
        if repair is None or not self.packets:
            return ""
        elapsed = now - self.started
        news = repair.plan(self.ledger, now, frames=self._emitted, elapsed=elapsed, congested=self.congested)
        self._target.wait_for_repair(repair.least)
        return news

    def ask(self, now: int, *, promised: bool) -> list[int]:
        """Extended numbers that are to be asked for now. `promised`: the sender is known to answer."""
        if self.repair is None:
            return []
        numbers = self.repair.ask(now, self._repair_deadline, promised=promised)
        if self.repair.take_overwhelmed():
            self.key_frames.lost("too much is missing")
        return numbers

    def next_request(self) -> int | None:
        """When `ask` has something to say or to give up."""
        return None if self.repair is None else self.repair.nacks.next_time()

    def fill(self, octets: int) -> None:
        """Of payloads, that are not looked at."""
        self._octets += octets

    def ignore(self, count: int) -> None:
        """Packets among those received that are of another payload type."""
        if count:
            self._unusable["payload_type"] += count

    def reported(self, octets: int) -> None:
        """A datagram of RTCP came from its sender."""
        self._rtcp_octets += octets
        self._rtcp_packets += 1

    # -- out --------------------------------------------------------------------------------------------------

    def playout_time(self, timestamp: int) -> int:
        """Monotonic ns at which what was captured at `timestamp` (unwrapped) is to be played."""
        return self.clock.local_time(timestamp) + self._target.delay + self.extra

    def played_by(self) -> int | None:
        """When the last packet that came is played, monotonic ns; None before the first."""
        return self.playout_time(self.newest_timestamp) if self.packets else None

    def playout_offset(self) -> int | None:
        """Playout here minus capture by the sender's wall clock, without lip-sync, ns; None before the first SR."""
        transit = self.least_transit()
        return None if transit is None else transit + self._target.delay

    def delay_further(self, extra: int) -> None:
        """Lip-sync: sound moves only for what an ear notices, so that it is not resampled without need."""
        if not self._is_sound or abs(extra - self.extra) > SYNC_SLACK:
            self.extra = extra

    def _deadline(self, timestamp: int) -> int:
        patience = 0 if self._is_sound else self._target.patience
        if self.key_frames.awaits_first:
            patience = max(patience, FIRST_WAIT - self._target.delay)
        deadline = self.playout_time(timestamp) + patience
        return deadline if self.repair is None or self._is_sound else max(deadline, self._until_repaired(timestamp))

    def _until_repaired(self, timestamp: int) -> int:
        """How long the hole in front may still be repaired; 0: it will not be. Only pictures wait for that: what
        follows late sound would be late too."""
        repair = self.repair
        assert repair is not None
        if not repair.nacks.waiting and not repair.ahead.expected(self.last_arrival):
            return 0
        missing = self._buffer.first_missing()
        if missing is not None and repair.nacks.waits_for(missing):
            return self._repair_deadline(timestamp)
        if repair.ahead.expected(self.last_arrival):
            return self.clock.local_time(timestamp) + repair.planning.hold
        return 0

    def _repair_deadline(self, timestamp: int) -> int:
        """Until when a repair is of use, for sound also to learn how much later it would have to be played."""
        wait = 0 if self.repair is None else self.repair.wait
        return max(self.playout_time(timestamp), self.clock.local_time(timestamp) + wait)

    def advance(self, now: int) -> list[AccessUnit]:
        """What is ready to be decoded at `now`, in order, handed out once."""
        self._release(now)
        return self.take_units()

    def take_quickest(self) -> int | None:
        """ns above the least transit of the quickest packet since the last call; None: none came."""
        quickest, self._quickest = self._quickest, None
        return quickest

    @property
    def arrived_octets(self) -> int:
        """Of everything that came of it, headers and repair included."""
        packets, octets = (0, 0) if self.repair is None else self.repair.carried()
        return self._octets + octets + HEADERS * (self.packets + packets)

    def close_numbers(self, now: int) -> None:
        """What drained is final. Call a few times a second."""
        final = self.ledger.final_range_known
        self.ledger.close(now, drain(self.longest_rtt, self._target.delay + self.extra, final_range_known=final))

    def least_transit(self) -> int | None:
        """ns by which our clock, when a packet of least transit arrives, is ahead of the sender's wall clock at its
        capture; None before the first SR."""
        captured = self.clock.capture_time(self.newest_timestamp)
        return None if captured is None else self.clock.local_time(self.newest_timestamp) - captured

    def exchanged(self, two_way: TwoWay) -> None:
        """The sender has answered."""
        self._round_trip, self._one_way = two_way.round_trip, two_way.one_way
        self.longest_rtt = max(self.longest_rtt, two_way.round_trip or 0)
        if self.repair is not None and two_way.round_trip is not None:
            self.repair.nacks.round_trip.exchanged(two_way.round_trip)

    def end(self, now: int, *, left: bool = False) -> list[AccessUnit]:
        """Everything still held, whole or not; the account is closed. `left`: because we stop, not the sender."""
        for frame in self._buffer.pop(now, lambda _: now):
            self._emit(frame, now)
        self.ended = True
        self.ledger.finish(left=left and now - self.last_arrival < _ALIVE)
        self._losses.finish()
        return self.take_units()

    def take_units(self) -> list[AccessUnit]:
        """What was released, once."""
        units, self._units = self._units, []
        return units

    def next_deadline(self) -> int | None:
        """When `advance` will give something up."""
        return self._buffer.next_deadline(self._deadline)

    def _release(self, now: int) -> None:
        before = self._buffer.cursor
        whole = self._buffer.take_whole() if self._at_once else []
        frames = self._buffer.pop(now, self._deadline)
        if self._buffer.cursor == before:
            return
        assert self._buffer.cursor is not None
        self.ledger.decide(self._buffer.cursor)
        if self._is_load:  # nobody plays it: a frame was used when it was whole, or, behind what was given up, now
            for timestamp, first_arrival, last_arrival in whole:
                self._count_delay(timestamp, first_arrival, last_arrival, last_arrival)
            for frame in frames:
                if any(frame.payloads):
                    self._count_delay(frame.timestamp, frame.first_arrival, frame.last_arrival, now)
            return
        told = frames if len(frames) <= MAX_CONCEALED else _worth_a_unit(frames)
        for frame, after in zip_longest(told, told[1:]):
            self._emit(frame, now, after)

    def _emit(self, frame: Frame, now: int, after: Frame | None = None) -> None:
        """`after`: what is emitted next, if that is known."""
        if self.holes is not None:
            if (known := self.holes.place(frame)) is None:
                return
            frame = known
        payloads = [payload for payload in frame.payloads if payload != b""]
        here = len(payloads) > frame.missing
        if frame.lost_before and not self._is_sound:
            self._add_unit(frame, b"", frame.lost_before)
        if here:
            self._count_delay(frame.timestamp, frame.first_arrival, frame.last_arrival, now)
        elif not frame.missing:  # padding, or other payload types than the stream's
            return
        following = None if here or not self._is_sound else self._following(frame, after)
        self._add_unit(frame, self._depacketize(payloads) if here else b"", frame.missing, following)

    def _following(self, frame: Frame, after: Frame | None) -> bytes | None:
        """The payload right after a missing frame, when it is here."""
        if after is None:
            return self._buffer.following() if self._buffer.cursor == frame.end else None
        return after.payloads[0] if after.first == frame.end else None

    def _add_unit(self, frame: Frame, data: bytes, missing: int, following: bytes | None = None) -> None:
        """`data` of the frame, or, where whole frames are missing before it, nothing for them."""
        self.key_frames.judge(data, missing)
        self._units.append(
            AccessUnit(
                self.key,
                self.format,
                data,
                frame.timestamp,
                self.playout_time(frame.timestamp),
                frame.last_arrival,
                missing,
                next((self._framing.duration(p) for p in frame.payloads if p), None),
                following,
                len(frame.payloads) if data else missing,
            )
        )

    def _depacketize(self, payloads: list[bytes | None]) -> bytes:
        try:
            return self._depacketizer.depacketize(payloads)
        except ProtocolError as error:
            self._unusable[error.reason] += 1
            return b""

    @property
    def key_frame_wait(self) -> int:
        """ns that an answer to a request for a key frame may take."""
        return (self._round_trip or 0) + KEY_FRAME_TIME

    def _count_delay(self, timestamp: int, first_arrival: int, last_arrival: int, now: int) -> None:
        """Of a frame that leaves the buffer `now`."""
        self._learn(timestamp, last_arrival)
        least = self.clock.local_time(timestamp)
        self._emitted += 1
        self._buffer_delay += now - first_arrival
        delay = max(now, least + self._target.delay + self.extra) - least
        self._playout_delay += delay
        self._playout_delays.add_one(delay // 1000)

    # -- reading ----------------------------------------------------------------------------------------------

    @property
    def out_of_band(self) -> bytes:
        """What a decoder needs before the first unit."""
        return self._depacketizer.out_of_band()

    def statistics(self) -> StreamStatistics:
        """What is known now."""
        counts = self.ledger.counts()
        spacing = (self.last_arrival - self.started) / (counts.span - 1) if counts.span > 1 else None
        return StreamStatistics(
            key=self.key,
            format=self.format,
            payload_type=self.payload_type,
            ledger=counts,
            loss_runs=self.ledger.loss_runs(),
            packets=self.packets,
            octets=self._octets,
            jitter=self.delay.jitter,
            delay_variation=self.delay.variation(),
            buffer_delay=self._buffer_delay,
            emitted=self._emitted,
            target=self._target.delay + self.extra,
            playout_delay_mean=self._playout_delay // self._emitted if self._emitted else None,
            playout_delay=_percentiles(self._playout_delays),
            unusable=dict(self._unusable),
            overflowed=self._buffer.overflowed,
            ended=self.ended,
            rtcp_octets=self._rtcp_octets,
            rtcp_packets=self._rtcp_packets,
            late_runs=self.ledger.late_runs(),
            bursts=self._bursts.counts(spacing),
            spacing=spacing,
            loss_sample=self._losses.sample,
            reordering_extent=self.ledger.reordering_extents.bins(),
            reordering_late=_percentiles(self.ledger.late_times),
            delays=self.delay.distribution(),
            skew_ppm=self.clock.skew_ppm,
            round_trip=self._round_trip,
            one_way=self._one_way,
            intervals=self.ledger.intervals(),
            repair=None if self.repair is None else self.repair.counts(),
            rate_limit=self.rate_limit,
            ahead=None if self.repair is None else self.repair.ahead.counts(),
            repair_plan=None if self.repair is None else self.repair.planning.plan.why,
        )


def _percentiles(micro: Histogram) -> dict[str, int | None]:
    """ns of a histogram of µs."""
    found = {f"p{name}": micro.percentile(share) for name, share in PERCENTILES.items()}
    return {name: None if value is None else value * 1000 for name, value in found.items()}


def _worth_a_unit(frames: list[Frame]) -> list[Frame]:
    """Without the empty ones in the front of a long gap: only its last MAX_CONCEALED are worth a unit."""
    kept: list[Frame] = []
    gap = 0
    for frame in reversed(frames):
        gap = gap + 1 if frame.missing == len(frame.payloads) else 0
        if gap <= MAX_CONCEALED:
            kept.append(frame)
    return kept[::-1]
