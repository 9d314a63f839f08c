"""What a foreign sender's SR says of the two ends (measurement.md): only of a stream heard from its start."""

from __future__ import annotations

import numpy as np
import pytest

from receiver.account.ledger import Ledger, LedgerCounts

SECOND = 1_000_000_000
MS = 1_000_000
START = 65_530 + 65_536


class Heard:
    """50 packets a second; we listen from the very beginning."""

    def __init__(self) -> None:
        self.ledger = Ledger()

    def packets(self, first: int, until: int) -> None:
        """Numbers from START + first to below START + until arrive, each in its turn."""
        for n in range(first, until):
            now = SECOND + n * 20 * MS
            self.ledger.arrive(np.array([START + n]), np.array([now]))
            self.ledger.close(now, 4 * SECOND)

    def report(self, count: int, at: int | None = None) -> None:
        """An SR just after its `count`th packet, or the packet `at`."""
        self.ledger.report_count(count, SECOND + (count if at is None else at) * 20 * MS, 0)

    def end(self) -> LedgerCounts:
        self.ledger.finish()
        return self.ledger.counts()


def test_the_tail_after_the_last_packet_is_known_from_the_last_report() -> None:
    """iperf3's case: the last 59 of 209 never come."""
    heard = Heard()
    heard.packets(0, 100)
    heard.report(100)
    assert heard.ledger.counts().sent == 100
    heard.packets(100, 150)
    heard.report(209)
    counts = heard.end()
    assert (counts.sent, counts.arrived, counts.lost, counts.missed) == (209, 150, 59, 59)
    assert heard.ledger.loss_runs() == {59: 1}


def test_the_head_before_the_first_packet_is_what_every_report_has_above_the_span() -> None:
    heard = Heard()
    heard.packets(7, 100)
    heard.report(100)
    assert heard.ledger.counts().sent is None, "the end may have been lost as well"
    heard.packets(100, 150)
    heard.report(150)
    heard.packets(150, 170)
    heard.report(180)
    counts = heard.end()
    assert (counts.sent, counts.lost) == (180, 7 + 10)
    assert heard.ledger.loss_runs() == {7: 1, 10: 1}


def test_joined_in_the_middle_the_ends_are_unknown() -> None:
    heard = Heard()
    heard.packets(5000, 5100)
    heard.ledger.report_count(5100, SECOND + 5100 * 20 * MS, SECOND + 4999 * 20 * MS)
    assert heard.ledger.counts().sent is None
    counts = heard.end()
    assert (counts.sent, counts.span, counts.lost) == (None, 100, 0)
    assert not counts.sender_count_flagged


def test_without_a_report_at_the_end_the_tail_is_unknown() -> None:
    heard = Heard()
    heard.packets(0, 100)
    heard.report(100)
    heard.packets(100, 150)
    assert heard.end().sent is None


def test_resends_on_the_same_ssrc_are_flagged_and_the_count_is_not_used() -> None:
    """From the 500th on every fifth packet is sent again under its old number, and counted again."""
    heard = Heard()
    for part in range(5):
        heard.packets(part * 500, (part + 1) * 500)
        heard.report(500 + part * 600, at=(part + 1) * 500)
    heard.packets(2500, 2600)
    counts = heard.end()
    assert counts.sender_count_flagged
    assert (counts.sent, counts.span, counts.lost) == (None, 2600, 0)


@pytest.mark.parametrize("lie", [0, 3, 10**6, 2**32 - 1, 2**31 + 5])
def test_a_last_count_that_lies_claims_nothing(lie: int) -> None:
    heard = Heard()
    heard.packets(0, 200)
    heard.report(200)
    heard.packets(200, 300)
    heard.report(lie, at=300)
    counts = heard.end()
    assert (counts.sent, counts.span, counts.lost) == (None, 300, 0)


@pytest.mark.parametrize("lie", [0, 10**6, 2**32 - 1])
def test_a_first_count_that_lies_claims_nothing(lie: int) -> None:
    heard = Heard()
    heard.packets(0, 200)
    heard.report(lie, at=200)
    heard.packets(200, 300)
    counts = heard.end()
    assert (counts.sent, counts.span, counts.lost) == (None, 300, 0)


def test_the_count_wraps() -> None:
    """32 bits: nobody hears that much here, but the difference between two reports is what counts."""
    heard = Heard()
    heard.packets(0, 50)
    heard.report(50)
    heard.packets(50, 60)
    heard.report(64)
    assert heard.end().sent == 64


def test_the_range_of_ours_says_more_than_any_count() -> None:
    heard = Heard()
    heard.packets(0, 50)
    heard.report(70)
    heard.ledger.set_range(START, START + 59, 60, final=True, heard_from_start=True)
    assert heard.end().sent == 60
