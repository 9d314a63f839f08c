"""Shares with what they are shares of, and sums that must hold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from receiver.report.snapshot import Ratio, broken_invariants, ratios
from tests.receiver.report.example import counts, video


def test_the_example_of_measurement() -> None:
    assert str(Ratio(29, 6012)) == "0.48 % (29/6012)"


@pytest.mark.parametrize("ratio", [Ratio(0, 0), Ratio(None, 5), Ratio(3, None)])
def test_a_share_of_nothing_or_of_the_unknown_is_unknown(ratio: Ratio) -> None:
    assert ratio.value is None
    assert str(ratio) == "unknown"


def test_five_ratios() -> None:
    ledger = replace(counts(1000, lost=30, late=5, local=4, sender=6), recovered_rtx=7, recovered_fec=1, missed=27)
    shares = {name: (ratio.numerator, ratio.denominator) for name, ratio in ratios(ledger).items()}
    assert shares == {
        "network_loss": (20, 1000),
        "local_drop": (4, 1000),
        "late": (5, 1000),
        "recovered": (8, 1000),
        "effective_loss": (27, 1000),
    }


def test_ratios_are_unknown_while_what_was_sent_is() -> None:
    assert all(ratio.value is None for ratio in ratios(counts(None, lost=3)).values())


def test_a_ledger_that_balances() -> None:
    assert broken_invariants(video(counts(1000, lost=30, late=5, local=4), packets_received=970)) == []
    assert broken_invariants(video(counts(None, lost=3))) == []


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"arrived": 1}, "numbers = arrived + lost"),
        ({"in_time": 1}, "numbers = in_time"),
        ({"lost_local": 9}, "lost = local + sender + network"),
        ({"sent": 999}, "sent = numbers"),
        ({"duplicates": 2}, "received = arrived + duplicates"),
    ],
)
def test_each_rule_is_checked(wrong: dict[str, int], rule: str) -> None:
    broken = broken_invariants(video(replace(counts(1000, lost=30), **wrong), packets_received=970))
    assert any(line.startswith(rule) for line in broken)
