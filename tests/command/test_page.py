"""A page fits its screen, whatever the screen and whatever the network says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from protocol.command.page import Cell, Page, Row, lay_out, sparkline

PAGE = Page(
    title="Steadycast  0:42",
    verdict="The network lost nothing of the video (0/6012). " * 6,
    headings=("video H264 00001234", "audio opus 00005678", "video VP8 00009abc"),
    rows=(
        Row("loss now", (Cell("0.5 %", (0.0, 0.01, None, 0.005), 0.05),) * 3, 1),
        Row("network loss", (Cell("0.48 % (29/6012)", style="warn"),) * 3, 0),
        Row("packets", (Cell("6012 +0 twice, 3 reordered"),) * 3, 9),
    ),
    log=tuple(f"  0:{second:02d}  something" for second in range(30)),
)


def test_bars_stand_for_eighths_without_the_full_block() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == "▁▁▂▃▄▅▆▇"
    assert sparkline([0, 7], 8, plain=True) == "_#      "


def test_the_newest_values_and_no_others() -> None:
    assert sparkline([7, 0, None, 7], 3) == "▁ ▇"
    assert sparkline([], 3) == "   "
    assert sparkline([1], 0) == ""


def test_noise_is_not_blown_up() -> None:
    assert sparkline([0.1, 0.2], 2, full=7.0) == "▁▁"
    assert sparkline([0.0, 0.0], 2) == "▁▁"


def test_a_terminal_of_80_columns_shows_two_streams() -> None:
    lines = lay_out(PAGE, 80, 24).plain.split("\n")
    assert len(lines) == 24
    assert lines[0] == "Steadycast  0:42"
    table = next(index for index, line in enumerate(lines) if line.startswith("+1 more"))
    assert "video H264 00001234" in lines[table]
    assert "audio opus 00005678" in lines[table]
    assert "video VP8" not in lines[table]
    assert lines[table + 1].split() == ["loss", "now", *["0.5", "%", "▁▂", "▁"] * 2]
    assert lines[table + 2].count("0.48 % (29/6012)") == 2
    assert lines[-1] == "  0:29  something"


def test_a_wide_one_shows_all() -> None:
    assert "video VP8 00009abc" in lay_out(PAGE, 120, 40).plain


def test_what_matters_least_goes_first() -> None:
    low = lay_out(PAGE, 80, 8).plain
    assert "network loss" in low
    assert "packets" not in low


def test_a_tiny_one_has_title_verdict_and_events() -> None:
    lines = lay_out(PAGE, 30, 6).plain.split("\n")
    assert lines[0] == "Steadycast  0:42"
    assert lines[1].startswith("The network lost nothing")
    assert lines[-1] == "  0:29  something"


def test_bytes_from_the_network_do_not_move_the_cursor() -> None:
    page = Page("t", "\x1b[2Jv", ("h\x07",), (Row("r", (Cell("c\x9b"),)),), ("\x1b]0;owned\x07\r\n",))
    plain = lay_out(page, 80, 24).plain
    assert all(c.isprintable() or c == "\n" for c in plain)


@given(st.integers(1, 200), st.integers(1, 60), st.text(max_size=60))
def test_every_screen_is_kept_to(width: int, height: int, text: str) -> None:
    page = Page(text, text, (text, text), (Row(text, (Cell(text, (1.0,)), Cell(text))),), (text,) * 5)
    lines = lay_out(page, width, height).plain.split("\n")
    assert len(lines) <= height
    assert all(cell_len(line) <= width for line in lines)
