"""Cases that tools get wrong, each by name; the truth is the list of what was sent and what arrived."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from receiver.account.ledger import Ledger, LedgerCounts
from receiver.account.local import LocalDrop

SECOND = 1_000_000_000
START = 65_530 + 65_536


def received(numbers: list[int], ledger: Ledger | None = None) -> Ledger:
    ledger = ledger or Ledger()
    ledger.arrive(np.array(numbers), np.arange(len(numbers)) * 1_000_000)
    return ledger


def final(ledger: Ledger, first: int, last: int, *, count: int | None = None, joined: bool = False) -> LedgerCounts:
    ledger.set_range(first, last, last - first + 1 if count is None else count, final=True, heard_from_start=not joined)
    ledger.finish()
    return ledger.counts()


def test_lost_and_duplicated_in_equal_number_do_not_cancel() -> None:
    numbers = [n for n in range(START, START + 200) if n % 10 != 5]
    counts = final(received(numbers + numbers[:20]), START, START + 199)
    assert (counts.sent, counts.arrived, counts.lost, counts.duplicates) == (200, 180, 20, 20)


def test_head_and_tail_loss_are_known_from_the_range_alone() -> None:
    ledger = received(list(range(START + 10, START + 150)))
    counts = final(ledger, START, START + 208)
    assert (counts.sent, counts.lost, counts.missed) == (209, 10 + 59, 69)
    assert ledger.loss_runs() == {10: 1, 59: 1}


def test_head_loss_learnt_after_the_beginning_is_closed() -> None:
    ledger = received(list(range(START + 10, START + 150)))
    ledger.close(0, SECOND)
    ledger.close(2 * SECOND, SECOND)
    assert ledger.counts().closed == 140
    counts = final(ledger, START, START + 149)
    assert (counts.sent, counts.lost, counts.missed, counts.closed_lost) == (150, 10, 10, 10)
    assert ledger.loss_runs() == {10: 1}


def test_without_a_range_sent_is_unknown() -> None:
    ledger = received(list(range(START, START + 10)))
    ledger.finish()
    counts = ledger.counts()
    assert counts.sent is None
    assert not counts.sent_known
    assert (counts.span, counts.lost) == (10, 0)


def test_without_the_final_range_the_tail_is_unknown() -> None:
    ledger = received(list(range(START, START + 10)))
    ledger.set_range(START, START + 9, 10, final=False, heard_from_start=True)
    assert ledger.counts().sent == 10
    ledger.finish()
    assert ledger.counts().sent is None


def test_joined_in_the_middle_earlier_numbers_are_no_loss() -> None:
    ledger = received([START + 5000 + n for n in (0, 1, 2, 5)])
    ledger.set_range(START, START + 5005, 5006, final=False, heard_from_start=False)
    ledger.arrive(np.array([START + 4999]), np.array([SECOND]))
    counts = final(ledger, START, START + 5005)
    assert (counts.sent, counts.lost, counts.before_join) == (6, 2, 1)


def test_a_reordered_beginning_belongs_to_the_stream() -> None:
    ledger = received([START + 2, START, START + 1, START + 3])
    counts = final(ledger, START, START + 3)
    assert (counts.sent, counts.lost, counts.before_join, counts.reordered) == (4, 0, 0, 2)


def test_duplicates_of_late_packets_are_duplicates() -> None:
    ledger = received([START, START + 1, START + 3])
    ledger.decide(START + 4)
    received([START + 2, START + 2, START + 2], ledger)
    counts = final(ledger, START, START + 3)
    assert (counts.missed, counts.late, counts.duplicates, counts.lost) == (1, 1, 2, 0)
    assert ledger.late_runs() == {1: 1}


def test_reordering_across_the_edge_of_an_interval() -> None:
    """An interval is final when its numbers have drained, so the straggler changes no figure."""
    ledger = received([START, START + 1, START + 3])
    ledger.close(0, SECOND)
    ledger.close(SECOND, SECOND)
    before = ledger.counts()
    assert (before.closed, before.closed_lost) == (4, 1)
    received([START + 4, START + 2, START + 5], ledger)
    after = final(ledger, START, START + 5)
    assert (after.closed, after.closed_lost, after.after_close, after.lost) == (6, 1, 1, 1)
    first, second = ledger.intervals()
    assert (first.sent, first.lost, second.sent, second.lost, second.reordered) == (4, 1, 2, 0, 0)


def test_what_crosses_the_edge_of_an_interval_is_booked_where_its_number_belongs() -> None:
    """A straggler, its copy, and the copy of another come in the second interval; their numbers are the first's."""
    ledger = received([START, START + 1, START + 3])
    ledger.close(SECOND, 10 * SECOND)
    received([START + 4, START + 2, START + 5, START + 2, START + 0], ledger)
    ledger.close(2 * SECOND, 10 * SECOND)
    assert ledger.intervals() == ()
    final(ledger, START, START + 5)
    first, second = ledger.intervals()
    assert (first.sent, first.arrived, first.duplicates, first.reordered) == (4, 4, 2, 1)
    assert (second.sent, second.arrived, second.duplicates, second.reordered) == (2, 2, 0, 0)
    assert (first.began, first.ended, second.began) == (0, SECOND, SECOND)


def test_intervals_of_a_day_are_few_and_still_add_up() -> None:
    ledger = Ledger()
    for second in range(20_000):
        numbers = [START + second * 10 + i for i in range(10) if (second * 10 + i) % 7]
        ledger.arrive(np.array(numbers), np.full(len(numbers), second * SECOND))
        ledger.close((second + 1) * SECOND, 4 * SECOND)
    counts = final(ledger, START, START + 199_999)
    rows = ledger.intervals()
    assert len(rows) <= 1001
    assert all(9 <= row.sent <= 11 for row in rows[-400:]), "the newest in full"
    assert all(a.end == b.first for a, b in pairwise(rows))
    assert (sum(row.sent for row in rows), sum(row.lost for row in rows)) == (200_000, counts.lost)
    older = [row.sent for row in rows[:-501]]
    assert max(older) - min(older) <= 2, "older ones equally long"


def test_silence_makes_no_intervals() -> None:
    ledger = received([START, START + 1])
    for second in range(1, 30):
        ledger.close(second * SECOND, 4 * SECOND)
    received([START + 2, START + 3], ledger)
    final(ledger, START, START + 3)
    assert [row.sent for row in ledger.intervals()] == [2, 2]


def test_rfc_4737_extent_and_late_time() -> None:
    """RFC 4737 §4.2.3's kind of example: 1 2 3 7 4 5 6 8, one packet each ms: 4, 5, 6 come 1, 2, 3 after 7."""
    ledger = received([START + n for n in (1, 2, 3, 7, 4, 5, 6, 8)])
    assert ledger.counts().reordered == 3
    assert ledger.reordering_extents.bins() == {1: 1, 2: 1, 3: 1}
    assert ledger.late_times.percentile(1.0) in range(2900, 3100)


def test_causes_of_loss() -> None:
    ledger = received([START, START + 1, START + 2])
    ledger.drop_locally(LocalDrop(7, exact=True))
    received([START + n for n in range(20, 100) if n % 2 == 0], ledger)
    counts = final(ledger, START, START + 99, count=90)
    assert (counts.lost, counts.lost_sender, counts.lost_local, counts.lost_network) == (57, 10, 7, 40)
    assert not counts.sender_count_flagged
    assert counts.lost_local_exact


def test_a_count_above_the_numbers_is_flagged_and_not_used() -> None:
    counts = final(received([START, START + 1]), START, START + 1, count=5)
    assert counts.sender_count_flagged
    assert (counts.sent, counts.lost, counts.lost_sender) == (2, 0, 0)


def test_recovered_numbers_and_originals_after_them() -> None:
    ledger = received([START, START + 4])
    assert ledger.recover(np.array([START + 1, START + 2, START + 2, START + 4]), "rtx").tolist() == [
        True, True, False, False,
    ]  # fmt: skip
    received([START + 1], ledger)
    ledger.decide(START + 5)
    received([START + 2], ledger)
    counts = final(ledger, START, START + 4)
    assert (counts.in_time, counts.recovered_rtx, counts.missed) == (3, 1, 1)
    assert (counts.arrived_after_recovery, counts.late, counts.lost) == (1, 0, 1)


def test_more_numbers_than_the_window_holds() -> None:
    """A gap of 10 million numbers is loss like any other, in bounded memory."""
    ledger = received([START, START + 10_000_000, START + 10_000_001])
    counts = final(ledger, START, START + 10_000_001)
    assert (counts.sent, counts.arrived, counts.lost, counts.missed) == (10_000_002, 3, 9_999_999, 9_999_999)
    assert ledger.loss_runs() == {9_999_999: 1}


def test_a_range_of_another_numbering_is_refused() -> None:
    ledger = received([START, START + 1])
    assert ledger.set_range(START + 1, START + 5, 5, final=False, heard_from_start=True) is None
    assert ledger.set_range(5, 4, 0, final=False, heard_from_start=True) is None
    assert ledger.counts().span == 2


def test_reception_follows_rfc_3550() -> None:
    """A.3: expected = highest - first + 1; received includes duplicates. Cycles count from 0."""
    ledger = received([65_534 + 65_536, 65_535 + 65_536, 2 * 65_536 + 1, 2 * 65_536 + 1])
    reception = ledger.reception()
    assert reception is not None
    assert (reception.extended_highest_sequence, reception.expected, reception.received) == (65_537, 4, 4)
    assert Ledger().reception() is None


def test_repetitions_that_nobody_verified() -> None:
    """By 16 bits of their numbers: copies of what came, and of what is closed; of what did not come, damage."""
    ledger = received([n for n in range(START, START + 100) if n != START + 50])
    assert ledger.repeat([(START + n) & 0xFFFF for n in (0, 0, 7, 99)]) == 4
    assert ledger.repeat([(START + 50) & 0xFFFF, (START + 100) & 0xFFFF]) == 0
    counts = ledger.counts()
    assert (counts.duplicates, counts.duplicates_unverified, counts.replicated, counts.corrupted) == (4, 4, 3, 2)
    reception = ledger.reception()
    assert reception is not None
    assert (reception.expected, reception.received) == (100, 99), "who repeats cannot hide a loss from the sender"
    ledger.close(0, SECOND)
    ledger.close(2 * SECOND, SECOND)
    assert ledger.repeat([(START + 5) & 0xFFFF]) == 1
    assert ledger.repeat([(START - 5) & 0xFFFF]) == 1
    counts = ledger.counts()
    assert (counts.after_close, counts.before_join, counts.duplicates) == (1, 1, 4)
    assert sum(row.duplicates for row in ledger.intervals()) == 4


def test_repetitions_of_nothing() -> None:
    ledger = Ledger()
    assert ledger.repeat([1, 2]) == 0
    assert ledger.counts().corrupted == 2
