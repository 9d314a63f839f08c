"""A real process, interrupted twice: it ends at once although a thread hangs, and says so in its exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

_SCRIPT = """
import sys, threading
from protocol.command.program import Outcome, run
from tests.command.program_of_tests import PROGRAM

def work(request):
    threading.Thread(target=threading.Event().wait).start()  # never ends
    print("ready", flush=True)
    request.stop.wait()
    print("stopping", flush=True)
    threading.Event().wait(60)
    return Outcome(0, {})

sys.exit(run(PROGRAM, [], work))
"""


def test_two_signals_end_a_process_that_hangs() -> None:
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    with subprocess.Popen(
        [sys.executable, "-c", _SCRIPT], stdout=subprocess.PIPE, text=True, cwd=root, env=environment
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            process.send_signal(signal.SIGINT)
            assert process.stdout.readline() == "stopping\n"
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=10) == 130
        finally:
            process.kill()
