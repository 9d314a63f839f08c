"""A route that has become longer, told from queues and from jitter."""

from __future__ import annotations

import pytest

from receiver.account.route import Route

MS = 1_000_000


def _observe(excess: list[int], *, missing: int = 0, apart: int = 10) -> list[int]:
    """ms that packets took more than the least transit, `apart` ms from one to the next, each with so many more
    missing; the steps found, ms."""
    route = Route()
    found = [route.observe(ms * MS, missing * i, i * apart * MS) // MS for i, ms in enumerate(excess)]
    return [step for step in found if step]


def test_a_longer_route_is_believed_after_a_second() -> None:
    assert _observe([0] * 100 + [200] * 100) == []
    assert _observe([0] * 100 + [200] * 105) == [200]


def test_the_quickest_of_them_count() -> None:
    assert _observe([200, 215, 204, 230] * 30) == [200]


@pytest.mark.parametrize(
    "excess",
    [
        [90] * 400,
        [100 + i // 2 for i in range(400)],
        ([200] * 90 + [0]) * 4,
    ],
    ids=["no longer than jitter may be", "a queue that grows", "some packets are as quick as ever"],
)
def test_what_is_no_other_route(excess: list[int]) -> None:
    assert _observe(excess) == []


def test_a_full_queue_is_none_either() -> None:
    assert _observe([300] * 400, missing=1) == []
