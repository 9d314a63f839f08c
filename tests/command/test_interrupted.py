"""A real process, interrupted: it ends cleanly the first time, and the second time at once although a thread hangs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SCRIPT = """
import sys, threading, time
from protocol.command.program import Outcome, run
from tests.command.program_of_tests import PROGRAM

def work(request):
    threading.Thread(target=threading.Event().wait, daemon=%r).start()  # never ends
    print("ready", flush=True)
    request.stop.wait()
    print("stopping", flush=True)
    time.sleep(%r)
    return Outcome(0, {})

sys.exit(run(PROGRAM, [], work))
"""


@contextmanager
def _process(*, hangs: bool) -> Iterator[subprocess.Popen[str]]:
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    script = _SCRIPT % (not hangs, 60 if hangs else 0.5)
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=root, env=environment
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def test_two_signals_end_a_process_that_hangs() -> None:
    with _process(hangs=True) as process:
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        assert process.stdout.readline() == "stopping\n"
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 130


def test_a_signal_that_comes_twice_at_once_is_one() -> None:
    """As `timeout` sends it: to the process, and to its group."""
    with _process(hangs=False) as process:
        for _ in range(3):
            process.send_signal(signal.SIGTERM)
            time.sleep(0.02)
        assert process.wait(timeout=10) == 0
