"""RFC 8083's conditions, by report blocks of made-up receivers. Rates are worked out by hand from its equation."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from protocol.rtcp.repair_offer import RepairOffer
from protocol.rtcp.report_block import ReportBlock
from sender.transmit.ahead import Ahead
from sender.transmit.circuit_breaker import CUT, CircuitBreaker, Sent, tcp_rate
from tests.support.pair import REPAIRED

SECOND = 1_000_000_000
MS = 1_000_000
FRAME = SECOND // 30


class Path:
    """Reports every half second of a stream whose packets have 1000 octets."""

    def __init__(self, rate: int, loss: float, round_trip: int | None) -> None:
        self.breaker = CircuitBreaker(FRAME)
        self.rate, self.loss, self.round_trip = rate, loss, round_trip
        self.now = 1000 * SECOND
        self.packets = self.arrived_until = 0
        self.lost = 0.0

    def send(self, seconds: float, *, arrives: bool = True, reports: bool = True) -> None:
        for _ in range(round(2 * seconds)):
            self.now += SECOND // 2
            packets = self.rate // 16_000
            self.packets += packets
            if arrives:
                self.arrived_until = self.packets
                self.lost += packets * self.loss
            sent = Sent(self.packets, 1000 * self.packets)
            if reports:
                block = ReportBlock(1, round(256 * self.loss), round(self.lost), 5000 + self.arrived_until, 0)
                self.breaker.report(0xC0DE, block, sent, self.round_trip, self.now)
            self.breaker.check(sent, self.now)


def test_the_equation() -> None:
    # X = s / (Tr * sqrt(2p/3)): 1000 octets, 100 ms, 1.5 %: 1000 / (0.1 * 0.1) = 100,000 octets a second
    assert tcp_rate(1000, 100 * MS, 0.015) == pytest.approx(800_000)
    assert tcp_rate(1200, 40 * MS, 0.1) == pytest.approx(8 * 1200 / (0.04 * math.sqrt(0.2 / 3)))


@pytest.mark.parametrize(
    ("rate", "loss", "round_trip", "trips"),
    [
        (1_000_000, 0.1, 40 * MS, False),  # TCP: 775 kbit/s
        (8_000_000, 0.1, 40 * MS, True),
        (2_000_000, 0.1, 200 * MS, True),  # TCP: 155 kbit/s
        (1_000_000, 0.1, 200 * MS, False),
        (2_000_000, 0.0, 200 * MS, False),
        (8_000_000, 0.5, MS, False),
        (8_000_000, 0.5, None, False),  # nothing is known of TCP's rate
    ],
)
def test_ten_times_what_tcp_would_send(rate: int, loss: float, round_trip: int | None, trips: bool) -> None:
    path = Path(rate, loss, round_trip)
    path.send(14)
    assert path.breaker.limit is None, "a whole interval is needed"
    path.send(6)
    assert (path.breaker.limit is not None) == trips
    if trips:
        assert path.breaker.limit == pytest.approx(rate / CUT, rel=0.01)
        assert path.breaker.why == "far more than TCP would send"


def test_after_congestion_the_rate_comes_back_step_by_step() -> None:
    path = Path(2_000_000, 0.1, 200 * MS)
    path.send(16)
    assert path.breaker.limit == pytest.approx(200_000, rel=0.01)
    path.rate, path.loss = 200_000, 0.0
    path.send(15)
    assert path.breaker.limit == pytest.approx(400_000, rel=0.01)
    path.send(45)
    assert path.breaker.limit is None


def test_nothing_arrives() -> None:
    """§4.2: five reports in a row and three seconds, and over with the first of which something has come."""
    path = Path(1_000_000, 0.0, 40 * MS)
    path.send(3)
    path.send(2.5, arrives=False)
    assert path.breaker.limit is None
    path.send(1, arrives=False)
    assert path.breaker.limit == pytest.approx(100_000, rel=0.01)
    path.send(0.5)
    assert path.breaker.limit is None


def test_reports_cease() -> None:
    """§4.1."""
    path = Path(1_000_000, 0.0, 40 * MS)
    path.send(3)
    path.send(14.5, reports=False)
    assert path.breaker.limit is None
    path.send(1, reports=False)
    assert path.breaker.why == "no reports"
    path.send(0.5)
    assert path.breaker.limit is None


def test_who_never_reports_or_has_left_is_not_missed() -> None:
    path = Path(1_000_000, 0.0, 40 * MS)
    path.send(60, reports=False)
    assert path.breaker.limit is None
    path.send(3)
    path.breaker.forget(0xC0DE)
    path.send(60, reports=False)
    assert path.breaker.limit is None


def test_a_stream_that_pauses_is_not_stalled() -> None:
    path = Path(0, 0.0, 40 * MS)
    path.send(30)
    assert path.breaker.limit is None


def test_reporters_without_number_take_no_room() -> None:
    breaker = CircuitBreaker(FRAME)
    for reporter in range(1000):
        breaker.report(reporter, ReportBlock(1, 255, 1000, 1, 0), Sent(reporter, reporter), MS, reporter * SECOND)
    assert breaker.limit is None


def test_packets_that_were_cut_for_forward_correction_are_no_more_than_those_they_were_cut_from() -> None:
    """1 Mbit/s in packets of 500 octets, with 5 % lost in 300 ms: 13.7 times TCP's rate with packets of that size,
    6.8 times with those of 1000."""
    assert 1_000_000 / tcp_rate(500, 300 * MS, 0.05) == pytest.approx(13.7, abs=0.1)
    assert 1_000_000 / tcp_rate(1000, 300 * MS, 0.05) == pytest.approx(6.8, abs=0.1)
    config = replace(REPAIRED[0], bitrate=1_000_000)
    ahead = Ahead(config, 9, 0, 1200)
    assert ahead.part == 1.0
    ahead.wish(
        [RepairOffer(1, config.ssrc, rtx=True, fec=True, red=False, fec_share=64, fec_frames=3)], None, everyone=True
    )
    assert ahead.part == 0.5
