"""What a C library prints, and what we print."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_SCRIPT = """
import ctypes, sys
from protocol.command.quiet import silence_libraries

library = ctypes.CDLL(None)

def complain(text):
    library.fputs(text, ctypes.c_void_p.in_dll(library, "stderr"))
    library.fflush(None)

complain(b"before\\n")
silence_libraries()
complain(b"Expression 'ret' failed\\n")
print("ours", file=sys.stderr)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="C's stderr has another name here")
def test_libraries_fall_silent_and_we_do_not() -> None:
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    run = subprocess.run([sys.executable, "-c", _SCRIPT], env=environment, capture_output=True, text=True, check=True)
    assert run.stderr.split() == ["before", "ours"]
