"""No more to an address than came from there."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace

from protocol.datagram import Batch, Transmission
from receiver.rtcp.allowance import MOST_CREDIT, MOST_PATHS, Allowance

HEADERS = 28


def batch(path: Hashable, *sizes: int, authentic: bool = False) -> Batch:
    return replace(Batch.of([bytes(size) for size in sizes], 0, path), authentic=authentic)


def sizes(allowance: Allowance, path: Hashable, *wanted: int) -> list[int]:
    """How long the datagrams are that may go, of some that are to."""
    let = allowance.let([Transmission([bytes(size) for size in wanted], path)])
    return [len(datagram) for transmission in let for datagram in transmission.datagrams]


def nothing_else(_: Hashable) -> list[Hashable]:
    return []


def test_as_much_as_came_and_no_more() -> None:
    allowance = Allowance(nothing_else)
    assert sizes(allowance, "a", 0) == []
    allowance.heard(batch("a", 100, 50))
    assert sizes(allowance, "b", 10) == []
    assert sizes(allowance, "a", 60, 60, 60) == [60, 60]
    assert sizes(allowance, "a", 150 + 2 * HEADERS - 2 * (60 + HEADERS) - HEADERS + 1) == []
    assert allowance.withheld == 4


def test_reports_come_from_one_port_and_media_from_another() -> None:
    allowance = Allowance(lambda path: ["media"] if path == "reports" else [])
    allowance.heard(batch("media", 1000))
    allowance.heard(batch("reports", 20))
    assert sizes(allowance, "reports", 500, 600) == [500]
    assert sizes(allowance, "media", 600) == []


def test_who_has_the_key_and_where_the_user_says() -> None:
    allowance = Allowance(nothing_else, "named")
    allowance.heard(batch("key", 1, authentic=True))
    assert sizes(allowance, "key", 5000) == [5000]
    assert sizes(allowance, "named", 5000) == [5000]


def test_credit_and_memory_are_bounded() -> None:
    allowance = Allowance(nothing_else)
    for _ in range(100):
        allowance.heard(batch("a", *[60_000] * 10))
    assert sum(size + HEADERS for size in sizes(allowance, "a", *[60_000] * 50)) <= MOST_CREDIT
    for number in range(2 * MOST_PATHS):
        allowance.heard(batch(number, 100))
        allowance.heard(batch(-1, 1))
    assert len(allowance._credit) == MOST_PATHS
    assert sizes(allowance, -1, 1000) == [1000]
    assert sizes(allowance, 0, 1) == []
