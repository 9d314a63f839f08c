"""When a path counts as full, by windows made up to be one thing alone."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from receiver.repair.congestion import BACK_OFF, FLOOR, SETTLING, Congestion, Window

MS = 1_000_000
SECOND = 1_000_000_000
TENTH = SECOND // 10


class Path:
    """Windows of 100 packets in a row."""

    def __init__(self) -> None:
        self.congestion = Congestion()
        self.now = 0

    def see(self, queues: Iterable[float | None], rate: int = 1_000_000, lost: int = 0) -> int:
        """ms of queue of each window, with so much arriving, bit/s; returns how often the limit fell."""
        fell = 0
        for queue in queues:
            self.now += TENTH
            least = None if queue is None else round(queue * MS)
            fell += self.congestion.observe(Window(TENTH, least, rate // 80, 100, lost), self.now)
        return fell


def test_a_rising_queue() -> None:
    path = Path()
    assert path.see([0] * 20) == 0
    assert path.see(range(0, 320, 20)) == 1
    assert path.congestion.limit is not None
    assert path.congestion.limit <= BACK_OFF * 1_000_000


def test_a_full_queue_that_drops() -> None:
    path = Path()
    assert path.see([0] * 20) == 0
    assert path.see([300] * 11, lost=30) == 1
    assert path.congestion.limit == pytest.approx(700_000, rel=0.01), "so that 300 ms are gone within a second"


@pytest.mark.parametrize(
    ("queues", "lost"),
    [
        ([0] * 60, 0),
        ([0] * 60, 30),
        ([0] * 20 + [200] * 40, 0),
        ([0] * 20 + [200] * 40, 10),
        ([0, 40, 20, 60, 0, 50, 30, 45] * 10, 0),
        ([0] * 20 + [None] * 40 + [0] * 20, 100),
        ([2 * n / 10 for n in range(100)], 0),
    ],
    ids=["nothing", "loss", "another route", "another route, and loss as before", "jitter", "silence", "drift"],
)
def test_what_is_no_congestion(queues: list[float | None], lost: int) -> None:
    path = Path()
    path.see([0] * 100, lost=lost)
    assert path.see(queues, lost=lost) == 0
    assert path.congestion.limit is None


def test_a_fall_is_given_time_and_repeated_where_the_queue_stays() -> None:
    path = Path()
    path.see([0] * 20)
    path.see(range(0, 320, 20))
    first = path.congestion.limit
    assert first is not None
    assert path.see([300] * (SETTLING // TENTH - 1), rate=900_000) <= 1
    assert path.see([300] * 20, rate=900_000) >= 1
    assert path.congestion.limit is not None
    assert path.congestion.limit < first


def test_a_queue_that_drains_is_left_alone() -> None:
    path = Path()
    path.see([0] * 20)
    path.see([300] * 11, lost=30)
    first = path.congestion.limit
    assert path.see(range(300, 60, -8)) == 0
    assert path.congestion.limit == first


def test_it_grows_slowly_and_most_slowly_near_where_it_fell() -> None:
    path = Path()
    path.see([0] * 20)
    path.see([300] * 11, lost=30)
    path.see([0] * 12, rate=800_000)
    low = path.congestion.limit
    path.see([0] * 10, rate=800_000)
    assert low is not None
    assert path.congestion.limit == pytest.approx(1.08 * low, rel=0.02)
    while path.congestion.limit < 930_000:
        path.see([0], rate=900_000)
    near = path.congestion.limit
    path.see([0] * 10, rate=930_000)
    assert path.congestion.limit == pytest.approx(1.02 * near, rel=0.01)


def test_a_limit_that_nobody_reaches_ends() -> None:
    path = Path()
    path.see([0] * 20)
    path.see(range(0, 320, 20))
    path.see([0] * 100, rate=200_000)
    assert path.congestion.limit is None


def test_there_is_a_floor() -> None:
    path = Path()
    path.see([0] * 20, rate=10_000)
    path.see(range(0, 320, 20), rate=10_000)
    assert path.congestion.limit == FLOOR
