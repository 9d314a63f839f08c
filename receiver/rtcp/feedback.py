"""What the receiver says back, and when: receiver reports, SDES, picture loss indications (RFC 3550 §6, RFC 4585).

One `Feedback` stands for one far end, that is one path: what it says there goes in one compound packet.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from protocol.ntp import middle_32, short_from_ns
from protocol.rtcp import compound, timer
from protocol.rtcp.bye import Bye
from protocol.rtcp.compound import RtcpPacket
from protocol.rtcp.nack import Nack
from protocol.rtcp.pli import PictureLossIndication
from protocol.rtcp.report_block import ReportBlock
from protocol.rtcp.rr import ReceiverReport
from protocol.rtcp.sdes import CNAME, SdesChunk, SdesItem, SourceDescription
from protocol.rtcp.xr import Block, ExtendedReport
from receiver.account.counts import Reception
from receiver.rtcp.exchange import reference_time

SESSION_BANDWIDTH = 1_000_000
"""bit/s that RTCP's 5 % are taken of: nobody told us the session's, and reports every 0.4 s on average are enough."""
NACK_BANDWIDTH = 200_000
"""bit/s of requests for retransmission: three copies of sixty a second need 80,000."""
IP_UDP_OVERHEAD = 28
PLI_INTERVAL = 250_000_000
"""ns between requests for one stream while no key frame has come, unless an answer takes longer."""
_ASKED = 1_000_000_000
"""ns for which a request is remembered."""
MAX_BLOCKS = 31
"""in one RR (RFC 3550 §6.4.2)."""


@dataclass(frozen=True, slots=True)
class ReportInput:
    """What one report block is made of."""

    ssrc: int
    reception: Reception
    jitter_ticks: int
    last_sr: tuple[int, int] | None
    """(64-bit NTP timestamp, monotonic ns of its arrival) of the newest sender report."""


class Feedback:
    """Decides when to report to one far end, and keeps what the report before said."""

    def __init__(self, ssrc: int, cname: str, rng: random.Random, now: int) -> None:
        """A stream comes from there since `now`: the first report follows after half an interval (§6.3.2)."""
        self._ssrc, self._cname, self._random = ssrc, cname, rng
        bandwidth = timer.rtcp_bandwidth(SESSION_BANDWIDTH)
        self._timer = timer.RtcpTimer(bandwidth, timer.reduced_minimum(SESSION_BANDWIDTH))
        self._allowance = timer.FeedbackAllowance.full(bandwidth, now)
        self._nack_allowance = timer.FeedbackAllowance.full(NACK_BANDWIDTH / 8, now)
        self._prior: dict[int, tuple[int, int]] = {}
        self._asked: dict[int, int] = {}
        self.next_report = now + self._timer.interval(rng.random(), initial=True)
        """monotonic ns."""

    def report(
        self,
        inputs: Sequence[ReportInput],
        now: int,
        extended: Iterable[Block] = (),
        more: Iterable[RtcpPacket] = (),
    ) -> bytes:
        """The regular report that is due, and the moment of the next."""
        self.next_report = now + self._timer.interval(self._random.random())
        return self.compound(inputs, more, now, extended)

    def compound(
        self, inputs: Sequence[ReportInput], more: Iterable[RtcpPacket], now: int, extended: Iterable[Block] = ()
    ) -> bytes:
        """RR, SDES, our clock's reading with further blocks, and what is to be said beside them."""
        blocks = tuple(self._block(i, now) for i in inputs[:MAX_BLOCKS])
        source = SourceDescription((SdesChunk(self._ssrc, (SdesItem(CNAME, self._cname),)),))
        reading = ExtendedReport(self._ssrc, (reference_time(now), *extended))
        data = compound.serialize([ReceiverReport(self._ssrc, blocks), source, reading, *more])
        self._prior = {i.ssrc: (i.reception.expected, i.reception.received) for i in inputs}
        size = len(data) + IP_UDP_OVERHEAD
        self._timer = self._timer.with_packet(size)
        self._allowance = self._allowance.spend(size, now)
        return data

    def hurry(self, now: int) -> None:
        """The next regular report is due now."""
        self.next_report = min(self.next_report, now)

    def nack(self, nacks: Sequence[Nack], now: int, *, reduced: bool) -> bytes | None:
        """Requests for retransmission, in a packet of reduced size (RFC 5506) or a compound one; None where their share
        of the bandwidth is used up. They have one of their own, since they are for now or never."""
        source = SourceDescription((SdesChunk(self._ssrc, (SdesItem(CNAME, self._cname),)),))
        first = () if reduced else (ReceiverReport(self._ssrc, ()), source)
        data = compound.serialize([*first, *nacks])
        size = len(data) + IP_UDP_OVERHEAD
        if not self._nack_allowance.allows(size, now):
            return None
        self._nack_allowance = self._nack_allowance.spend(size, now)
        return data

    def picture_loss(self, media_ssrc: int) -> PictureLossIndication:
        return PictureLossIndication(self._ssrc, media_ssrc)

    def goodbye(self) -> Bye:
        return Bye((self._ssrc,))

    def _block(self, i: ReportInput, now: int) -> ReportBlock:
        """RFC 3550 §6.4.1 and A.3; the fraction is of the time since the block before."""
        expected_before, received_before = self._prior.get(i.ssrc, (0, 0))
        expected = i.reception.expected - expected_before
        lost = expected - (i.reception.received - received_before)
        lsr, dlsr = (0, 0) if i.last_sr is None else (middle_32(i.last_sr[0]), short_from_ns(now - i.last_sr[1]))
        return ReportBlock(
            ssrc=i.ssrc,
            fraction_lost=0 if expected <= 0 or lost <= 0 else min(255, (lost << 8) // expected),
            cumulative_lost=max(-0x80_0000, min(0x7F_FFFF, i.reception.expected - i.reception.received)),
            extended_highest_sequence=i.reception.extended_highest_sequence,
            jitter=i.jitter_ticks,
            lsr=lsr,
            dlsr=dlsr,
        )

    # -- key frames -------------------------------------------------------------------------------------------

    def ask_now(self, wanting: Mapping[int, int], now: int) -> list[int]:
        """Those SSRCs of `wanting` that may be asked for a key frame now; they count as asked (RFC 4585 §3.3). With
        each the ns that an answer may take: it is not asked again before."""
        ready = [ssrc for ssrc, wait in wanting.items() if now >= self._may_ask(ssrc, wait)]
        if not ready or not self._allowance.allows(int(self._timer.average_size), now):
            return []
        recent = {ssrc: asked for ssrc, asked in self._asked.items() if now - asked < _ASKED}
        self._asked = recent | dict.fromkeys(ready, now)
        return ready

    def next_request(self, ssrc: int, wait: int, now: int) -> int:
        """Monotonic ns at which `ask_now` will let this one through."""
        return max(self._may_ask(ssrc, wait), self._allowance.next_time(int(self._timer.average_size), now))

    def _may_ask(self, ssrc: int, wait: int) -> int:
        return self._asked[ssrc] + max(PLI_INTERVAL, min(wait, _ASKED)) if ssrc in self._asked else 0
