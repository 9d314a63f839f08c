"""Report blocks held against RFC 3550's own arithmetic (§6.4.1, A.3), and when feedback may leave."""

from __future__ import annotations

import random

import pytest

from protocol.rtcp import compound
from protocol.rtcp.bye import Bye
from protocol.rtcp.pli import PictureLossIndication
from protocol.rtcp.report_block import ReportBlock
from protocol.rtcp.rr import ReceiverReport
from protocol.rtcp.sdes import SourceDescription
from protocol.rtcp.xr import ExtendedReport
from receiver.account.counts import Reception
from receiver.rtcp.feedback import MAX_BLOCKS, PLI_INTERVAL, Feedback, ReportInput
from tests.support.clock import MILLISECOND as MS
from tests.support.clock import SECOND

START = 1000 * SECOND


def feedback() -> Feedback:
    return Feedback(7, "receiver@test", random.Random(1), START)


def told(expected: int, received: int, *, ssrc: int = 5, last_sr: tuple[int, int] | None = None) -> ReportInput:
    return ReportInput(ssrc, Reception(70_000, expected, received), 33, last_sr)


def blocks(data: bytes) -> tuple[ReportBlock, ...]:
    report = compound.parse(data)[0]
    assert isinstance(report, ReceiverReport)
    assert report.ssrc == 7
    return report.reports


def test_the_fraction_is_of_the_time_since_the_report_before() -> None:
    f = feedback()
    (first,) = blocks(f.report([told(100, 90)], START))
    assert (first.fraction_lost, first.cumulative_lost) == (10 * 256 // 100, 10)
    (second,) = blocks(f.report([told(200, 190)], START + SECOND))
    assert (second.fraction_lost, second.cumulative_lost) == (0, 10)
    (third,) = blocks(f.report([told(300, 240)], START + 2 * SECOND))
    assert (third.fraction_lost, third.cumulative_lost) == (50 * 256 // 100, 60)
    assert (third.jitter, third.extended_highest_sequence) == (33, 70_000)


@pytest.mark.parametrize(
    ("expected", "received", "fraction", "lost"),
    [(100, 120, 0, -20), (100, 0, 255, 100), (1 << 25, 0, 255, 0x7F_FFFF), (10, 1 << 25, 0, -0x80_0000)],
)
def test_the_limits_of_the_fields(expected: int, received: int, fraction: int, lost: int) -> None:
    (block,) = blocks(feedback().report([told(expected, received)], START))
    assert (block.fraction_lost, block.cumulative_lost) == (fraction, lost)


def test_the_round_trip_fields_are_absent_before_a_sender_report_and_exact_after() -> None:
    """RFC 3550 figure 2: the sender report shows b44d:b705 20000000; it came 5.25 s before."""
    f = feedback()
    (block,) = blocks(f.report([told(1, 1)], START))
    assert (block.lsr, block.dlsr) == (0, 0)
    report = told(1, 1, last_sr=(0xB44D_B705_2000_0000, START))
    (block,) = blocks(f.report([report], START + 5_250 * MS))
    assert (block.lsr, block.dlsr) == (0xB705_2000, 0x0005_4000)


def test_every_datagram_is_a_compound_packet_with_a_name() -> None:
    f = feedback()
    parts = compound.parse(f.compound([], [f.picture_loss(5), f.goodbye()], START))
    kinds = [ReceiverReport, SourceDescription, ExtendedReport, PictureLossIndication, Bye]
    assert [type(part) for part in parts] == kinds


def test_no_more_blocks_than_a_report_can_hold() -> None:
    many = [told(1, 1, ssrc=n) for n in range(MAX_BLOCKS + 9)]
    assert len(blocks(feedback().report(many, START))) == MAX_BLOCKS


def test_reports_come_at_random_moments_around_the_interval() -> None:
    f = feedback()
    assert START < f.next_report < START + SECOND
    gaps = []
    for _ in range(200):
        now = f.next_report
        f.report([told(1, 1)], now)
        gaps.append(f.next_report - now)
    mean = sum(gaps) / len(gaps)
    assert len(set(gaps)) > 100
    assert 0.25 * SECOND < mean < 0.35 * SECOND, "0.36 s, divided by e - 1.5 = 1.218"
    assert max(gaps) < 3.1 * min(gaps), "from 0.5 to 1.5 intervals"


def test_one_request_each_quarter_of_a_second_for_each_stream() -> None:
    f = feedback()
    assert f.ask_now({5: 0}, START) == [5]
    assert f.ask_now({5: 0}, START + MS) == []
    assert f.ask_now({5: 0, 6: 0}, START + MS) == [6], "another stream's is not held back"
    assert f.next_request(5, 0, START + MS) == START + PLI_INTERVAL
    assert f.ask_now({5: 0}, START + PLI_INTERVAL) == [5]


def test_feedback_keeps_within_rtcps_bandwidth() -> None:
    """5 % of 1 Mbit/s are 6250 octets a second."""
    f = feedback()
    sent = 0
    for step in range(10_000):
        now = START + step * MS
        if ready := f.ask_now(dict.fromkeys(range(50), 0), now):
            sent += 28 + len(f.compound([], [f.picture_loss(ssrc) for ssrc in ready], now))
    assert sent <= 6250 * 11 + 1500
