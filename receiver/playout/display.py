"""Is there a display? Asked before the first window: without one OpenCV's Qt aborts the whole process."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import sys
from pathlib import Path

from receiver.libraries import cv2


def missing_display() -> str | None:
    """Why no window can be opened, as one line; None when one can."""
    if not sys.platform.startswith("linux"):
        return None
    name = os.environ.get("DISPLAY")
    if not name:
        return "there is no display (DISPLAY is not set); use --video none, or a file"
    if not _answers(name):
        return f"the display {name} does not answer; use --video none, or a file"
    return None


def _answers(name: str) -> bool:
    """Connects as Qt will, with the same authority file."""
    xcb = _xcb()
    if xcb is None:
        return True
    xcb.xcb_connect.restype = ctypes.c_void_p
    xcb.xcb_connect.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
    xcb.xcb_connection_has_error.argtypes = [ctypes.c_void_p]
    xcb.xcb_disconnect.argtypes = [ctypes.c_void_p]
    connection = xcb.xcb_connect(os.fsencode(name), None)
    error = xcb.xcb_connection_has_error(connection)
    xcb.xcb_disconnect(connection)
    return not error


def _xcb() -> ctypes.CDLL | None:
    """The system's library, else the one in OpenCV's wheel."""
    bundled = (Path(cv2.__file__).parents[1] / "opencv_python.libs").glob("libxcb-[0-9a-f]*.so*")
    for library in (ctypes.util.find_library("xcb"), *map(str, bundled)):
        if library:
            try:
                return ctypes.CDLL(library)
            except OSError:
                continue
    return None
