"""A writer's end: as long as something is written, and no longer."""

from __future__ import annotations

import threading
import time

import pytest

from receiver.playout import background
from receiver.playout.background import Writer


def test_a_slow_file_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_STUCK", 0.15)
    written: list[int] = []
    lines: list[str] = []

    def write(item: int) -> None:
        time.sleep(0.05)
        written.append(item)

    writer = Writer("slow", write, lambda: written.append(-1), lines.append, 100)
    for item in range(12):
        writer.put(item)
    writer.close()
    assert written == [*range(12), -1]
    assert lines == []


def test_a_file_that_takes_nothing_is_left_with_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_STUCK", 0.2)
    lines: list[str] = []
    never = threading.Event()
    writer = Writer("stuck", lambda _: never.wait(), lambda: None, lines.append, 100)
    writer.put(1)
    began = time.monotonic()
    writer.close()
    assert time.monotonic() - began < 2
    assert lines == ["stuck: takes nothing for 0 s; the rest is not written to it"]
    assert writer.failed
    never.set()
