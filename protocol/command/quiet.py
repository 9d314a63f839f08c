"""Keeps what C libraries complain of among themselves away from the lines a person reads."""

from __future__ import annotations

import contextlib
import ctypes
import os
from functools import cache


@cache
def silence_libraries() -> None:
    """PortAudio and ALSA print each failed call to C's `stderr`, which leads nowhere from now on; Python's own goes on,
    and says in one line what it means. Without effect where the C library has no such variable."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        library = ctypes.CDLL(None)
        stream = ctypes.c_void_p.in_dll(library, "stderr")
        library.fopen.restype = ctypes.c_void_p
        nowhere = library.fopen(os.devnull.encode(), b"w")
        if nowhere:
            stream.value = nowhere
