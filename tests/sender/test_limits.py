"""Requests for less, as a session takes and answers them."""

from __future__ import annotations

from collections.abc import Hashable
from random import Random

import numpy as np

from protocol.datagram import Batch
from protocol.rtcp import compound
from protocol.rtcp.compound import RtcpPacket
from protocol.rtcp.rr import ReceiverReport
from protocol.rtcp.tmmbr import BitrateNotification, BitrateRequest, Limit
from sender.events import RateLimited
from sender.media import AccessUnit
from sender.session import SenderSession, StreamConfig
from sender.transmit.retransmission import Budget, Retransmission
from tests.support.traffic import h264_frame

SECOND = 1_000_000_000
NOW = 50 * SECOND
RECEIVER = 0xC0DE
VIDEO = StreamConfig("video", "H264", 96, 90_000, 0xAAAA, SECOND // 30, 2_000_000, rtp_path="near", rtcp_path="near")
AUDIO = StreamConfig("audio", "opus", 97, 48_000, 0xBBBB, SECOND // 50, 64_000, 2, rtp_path="near", rtcp_path="near")


def make() -> SenderSession:
    return SenderSession(
        (VIDEO, AUDIO), cname="me@here", now=NOW, wall=0, random=Random(1), from_target=lambda path: path == "near"
    )


def tell(session: SenderSession, *packets: RtcpPacket, path: Hashable = "near", at: int = NOW) -> list[RateLimited]:
    data = compound.serialize(packets)
    one = np.array([0]), np.array([len(data)]), np.array([at])
    session.handle_datagrams(Batch(np.frombuffer(data, np.uint8), *one, path), at)
    return [event for event in session.poll(at).events if isinstance(event, RateLimited)]


def test_a_limit_of_a_receiver_that_reports() -> None:
    session = make()
    asked = BitrateRequest(RECEIVER, (Limit(0xAAAA, 800_000, 40),))
    assert tell(session, ReceiverReport(RECEIVER), asked) == [RateLimited(0, 800_000, "congestion")]
    assert tell(session, asked) == [], "nothing new"


def test_limits_that_are_none_of_ours() -> None:
    session = make()
    asked = BitrateRequest(RECEIVER, (Limit(0xAAAA, 800_000, 40),))
    assert tell(session, asked) == [], "it has not reported"
    assert tell(session, ReceiverReport(RECEIVER), asked, path="far") == []
    other = BitrateRequest(RECEIVER, (Limit(0xCCCC, 800_000, 40), Limit(0xBBBB, 1000, 40)))
    assert tell(session, ReceiverReport(RECEIVER), other) == [], "sound does not follow"
    discarded = session.statistics(NOW).unparsed
    assert (discarded["limit_from_elsewhere"], discarded["request_for_other_source"]) == (2, 1)


def test_a_limit_is_confirmed_with_the_next_report() -> None:
    session = make()
    tell(session, ReceiverReport(RECEIVER), BitrateRequest(RECEIVER, (Limit(0xAAAA, 800_000, 40),)))
    session.send(0, AccessUnit(h264_frame(0, 500, True), 0, NOW, True), NOW)
    sent = [d for t in session.poll(NOW).transmissions for d in t.datagrams if 192 <= d[1] <= 223]
    confirmed = [p for d in sent for p in compound.parse(d) if isinstance(p, BitrateNotification)]
    assert confirmed == [BitrateNotification(0xAAAA, (Limit(RECEIVER, 800_000, 40),))]


def test_retransmissions_take_less_of_a_full_path() -> None:
    repair = Retransmission(first=0, first_rtx=0, ssrc=1, payload_type=112, bitrate=8_000_000)
    full = Budget.of(8_000_000, 0.5)
    assert repair._budget.rate == full.rate == 500_000
    repair.limit(800_000)
    assert repair._budget.rate == 10_000, "octets a second: a tenth of the limit"
    repair.limit(None)
    assert repair._budget.rate == 500_000
