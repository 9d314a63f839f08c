"""The receiver's dashboard: from snapshots to what a person reads, and the program in a real pseudo-terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from protocol.command.page import lay_out
from receiver.report.snapshot import Event, Snapshot
from receiver.report.terminal import HISTORY, Dashboard
from tests.receiver.report.example import audio, counts, snapshot, video
from tests.support.peers import free_ports

ROOT = Path(__file__).parents[3]


def rows(dashboard: Dashboard, width: int = 80, height: int = 30) -> dict[str, str]:
    """Label → the rest of its line."""
    lines = lay_out(dashboard.page(()), width, height).plain.split("\n")
    return {line[:15].strip(): line[15:].rstrip() for line in lines}


def test_ratios_with_numerator_and_denominator() -> None:
    dashboard = Dashboard()
    dashboard.add(snapshot(video(counts(6012, lost=29)), audio(counts(None))))
    shown = rows(dashboard)
    assert shown["network loss"].split("  ")[0] == "0.48 % (29/6012)"
    assert shown["effective loss"].endswith("unknown")
    assert shown["local drop"].startswith("0.00 % (0/6012)")


def test_traces_are_differences_of_what_is_cumulative() -> None:
    dashboard = Dashboard()
    for second, lost in enumerate((0, 0, 5, 5)):
        dashboard.add(snapshot(video(counts(100 * (second + 1), lost=lost)), time_s=second + 1.0))
    assert rows(dashboard)["loss now"].split() == ["0.0", "%", "▁▇▁"]  # of the first second nothing is known


def test_the_history_is_bounded_and_forgets_streams_that_are_gone() -> None:
    dashboard = Dashboard()
    stream = video(counts(100))
    for second in range(HISTORY + 50):
        dashboard.add(snapshot(stream, time_s=float(second)))
    assert len(dashboard.of(stream, lambda moment: moment.jitter_ms)) == HISTORY
    dashboard.add(snapshot(audio(counts(100))))
    assert dashboard.of(stream, lambda moment: moment.jitter_ms) == ()


def test_events_and_lines_are_told_once_and_in_order() -> None:
    dashboard = Dashboard()
    dashboard.add(Snapshot(9.0, events=(Event(2.0, "stream_started", "video starts"), Event(5.0, "goodbye"))))
    log = dashboard.page([(2.1, "video starts"), (3.0, "a small buffer")]).log
    assert log == ("  0:02  video starts", "  0:03  a small buffer", "  0:05  goodbye")


def test_before_anything_came() -> None:
    assert "firewall lets UDP 5004–5007 in" in Dashboard((5004, 5007)).page(()).verdict


@pytest.mark.parametrize(
    ("duration", "interrupts", "codes", "below"),
    [
        ("2500ms", 0, {3}, b"No packet came."),
        ("20s", 1, {3}, b"No packet came."),
        ("20s", 2, {3, 130}, b""),  # 3: it was done before the second came
    ],
)
def test_in_a_terminal(duration: str, interrupts: int, codes: set[int], below: bytes) -> None:
    """The alternate screen is left and the cursor shown however the program ends; the verdict stands below."""
    raw, code = in_terminal(["--video", "none", "--duration", duration], interrupts)
    assert code in codes
    assert raw.count(b"\x1b[?1049h") == raw.count(b"\x1b[?1049l") == 1
    assert below in raw.rpartition(b"\x1b[?1049l")[2]
    assert raw.rfind(b"\x1b[?25h") > raw.rfind(b"\x1b[?25l")
    assert not re.search(rb"\x1b\[[0-9;]*3[0-7]m", raw)  # NO_COLOR


def test_an_error_in_a_terminal(tmp_path: Path) -> None:
    raw, code = in_terminal(["--video", str(tmp_path / "missing" / "out.y4m")], 0)
    assert code == 1
    assert raw.count(b"\x1b[?1049h") == raw.count(b"\x1b[?1049l")
    assert b"No such file" in raw.rpartition(b"\x1b[?1049l")[2]


def in_terminal(arguments: list[str], interrupts: int) -> tuple[bytes, int]:
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "NO_COLOR": "1", "COLUMNS": "80", "LINES": "24"}
    command = [sys.executable, "-m", "receiver", f"127.0.0.1:{free_ports(4)}", "--audio", "none", "--dashboard"]
    program = subprocess.Popen(
        [*command, *arguments], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=slave
    )
    os.close(slave)
    raw, end = b"", time.monotonic() + 20
    try:
        while time.monotonic() < end and (piece := _piece(master)) is not None:
            raw += piece
            if interrupts and b"Steadycast" in raw:
                for _ in range(interrupts):
                    program.send_signal(signal.SIGINT)
                    time.sleep(0.05)
                interrupts = 0
        return raw, program.wait(10)
    finally:
        program.kill()
        program.wait()
        os.close(master)


def _piece(master: int) -> bytes | None:
    """None: the program has closed its end."""
    if not select.select([master], [], [], 0.2)[0]:
        return b""
    try:
        return os.read(master, 65536) or None
    except OSError:
        return None
