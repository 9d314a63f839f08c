"""GStreamer's MIKEY, for Debian's Python: one JSON question a line on stdin, one answer a line on stdout.

{"make": caps} → the message in base64; {"read": hexadecimal} → what GStreamer sees in it, or null.
"""

from __future__ import annotations

import ctypes
import json
import sys
from typing import Any

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402

POINTER, NOTHING = ctypes.c_void_p, None
LIBRARY = ctypes.CDLL("libgstsdp-1.0.so.0")
"""The bindings want values that only C can make."""


def function(name: str, result: Any, *arguments: Any) -> Any:
    found = getattr(LIBRARY, f"gst_mikey_message_{name}")
    found.restype, found.argtypes = result, arguments
    return found


class Stream(ctypes.Structure):
    """GstMIKEYMapSRTP."""

    _fields_ = (("policy", ctypes.c_uint8), ("ssrc", ctypes.c_uint32), ("roc", ctypes.c_uint32))


from_caps = function("new_from_caps", POINTER, POINTER)
add_stream = function("add_cs_srtp", ctypes.c_int, POINTER, ctypes.c_uint8, ctypes.c_uint32, ctypes.c_uint32)
encode = function("base64_encode", ctypes.c_char_p, POINTER)
from_data = function("new_from_data", POINTER, ctypes.c_char_p, ctypes.c_size_t, POINTER, POINTER)
to_caps = function("to_caps", ctypes.c_int, POINTER, POINTER)
count = function("get_n_cs", ctypes.c_uint, POINTER)
stream = function("get_cs_srtp", ctypes.POINTER(Stream), POINTER, ctypes.c_uint)


def make(text: str) -> str:
    caps = Gst.Caps.from_string(text)
    message = from_caps(hash(caps))
    structure = caps.get_structure(0)
    add_stream(message, 0, structure.get_uint("ssrc")[1], structure.get_uint("roc")[1])
    made: bytes = encode(message)
    return made.decode()


def read(data: bytes) -> dict[str, Any] | None:
    message = from_data(data, len(data), NOTHING, NOTHING)
    caps = Gst.Caps.new_empty_simple("application/x-srtp")
    if not message or not to_caps(message, hash(caps)):
        return None
    structure = caps.get_structure(0)
    buffer = structure.get_value("srtp-key")
    streams = [stream(message, index).contents for index in range(count(message))]
    return {
        "key": buffer.extract_dup(0, buffer.get_size()).hex(),
        "cipher": structure.get_string("srtp-cipher"),
        "authentication": structure.get_string("srtp-auth"),
        "streams": [[each.policy, each.ssrc, each.roc] for each in streams],
    }


Gst.init(None)
for line in sys.stdin:
    question = json.loads(line)
    answer = make(question["make"]) if "make" in question else read(bytes.fromhex(question["read"]))
    print(json.dumps(answer), flush=True)
