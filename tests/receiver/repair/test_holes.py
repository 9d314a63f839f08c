"""Which missing numbers belonged to pictures, where repair packets are among them."""

from __future__ import annotations

from receiver.jitter.buffer import Frame
from receiver.repair.holes import Holes

STEP = 3000


def frame(first: int, picture: float, payloads: tuple[bytes | None, ...] = (b"x",), lost_before: int = 0) -> Frame:
    return Frame(first, first + len(payloads), round(picture * STEP), payloads, 0, 0, lost_before)


def begun() -> Holes:
    """Ten pictures, each of a packet and one of repair; the last is number 18."""
    holes = Holes()
    for at in range(10):
        placed = holes.place(frame(2 * at, at))
        assert placed is not None
        assert placed.lost_before == 0
        assert holes.place(frame(2 * at + 1, at, (b"",))) is None
    return holes


def lost(placed: Frame | None) -> int:
    assert placed is not None
    return placed.lost_before


def test_between_a_picture_and_the_next() -> None:
    assert lost(begun().place(frame(21, 10, lost_before=1))) == 0


def test_a_picture_is_missing_too() -> None:
    assert lost(begun().place(frame(22, 11, lost_before=2))) == 2


def test_what_repair_names_is_media() -> None:
    holes = begun()
    holes.protects([20, 21])
    assert lost(holes.place(frame(21, 10, lost_before=1))) == 1


def test_missing_around_repair_is_said_before_the_next_picture() -> None:
    holes = begun()
    assert holes.place(frame(20, 9, (b"", None, b""))) is None
    assert holes.place(frame(24, 9, (b"",), lost_before=1)) is None
    assert lost(holes.place(frame(25, 10))) == 0
    assert holes.place(frame(26, 10, (b"", None))) is None
    assert lost(holes.place(frame(29, 12, lost_before=1))) == 2


def test_no_rule_yet_or_no_time_between() -> None:
    holes = Holes()
    holes.place(frame(0, 0))
    assert lost(holes.place(frame(2, 1, lost_before=1))) == 1
    assert lost(begun().place(frame(21, 9, lost_before=1))) == 1


def test_its_memory_is_bounded() -> None:
    holes = Holes()
    for at in range(1000):
        holes.protects([at * 48 + offset for offset in range(48)])
    assert len(holes._media) <= 4096


def test_a_long_gap_costs_nothing() -> None:
    holes = begun()
    assert holes.place(frame(10**9, 9, (b"",), lost_before=10**9 - 20)) is None
    assert len(holes._gone) < 100
    assert lost(holes.place(frame(10**9 + 1, 10))) == 10**9 - 20
