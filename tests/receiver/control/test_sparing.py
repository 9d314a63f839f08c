"""A log that strangers cannot fill."""

from __future__ import annotations

from receiver.control.sparing import Sparing


def test_a_flood_of_lines_is_twenty_and_one_a_second() -> None:
    now, lines = [0.0], list[str]()
    spare = Sparing(lines.append, lambda: now[0])
    for _ in range(1000):
        spare("again")
    assert lines == ["again"] * 20
    now[0] = 1.5
    spare("later")
    spare("at once")
    assert lines[20:] == ["later (and 980 lines more)"]
    now[0] = 1000.0
    for _ in range(25):
        spare("again")
    assert lines[21:] == ["again (and 1 lines more)"] + ["again"] * 19
