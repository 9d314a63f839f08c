"""Opus (RFC 6716) through libopus itself: FFmpeg's wrappers can neither conceal a lost packet nor use in-band FEC.

The system's library is taken, else the copy inside PyAV's wheel.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from protocol.errors import Malformed, ResourceError
from receiver.libraries import av

_MAX_FRAMES_PER_SECOND = 25 / 3
"""A packet holds at most 120 ms (RFC 6716 §3.4)."""


def has_fec(data: bytes) -> bool:
    """Whether the packet carries LBRR, a coarse copy of the frame before it (RFC 6716 §4.2.4).

    SILK writes one VAD flag for each 20 ms (one for a shorter frame), then the LBRR flag, for each channel, at the very
    start of the first frame; the range coder leaves these equiprobable bits readable from the top. CELT has none.
    """
    if len(data) < 2 or is_celt(data):
        return False
    offset = _first_frame(data)
    if offset is None or offset >= len(data):
        return False
    silk_frames = {2: 2, 3: 3}.get(data[0] >> 3 & 3, 1) if data[0] >> 3 < 12 else 1
    first = data[offset]
    mid = first >> (7 - silk_frames) & 1
    side = first >> (6 - 2 * silk_frames) & 1 if data[0] & 4 else 0
    return bool(mid or side)


def is_celt(data: bytes) -> bool:
    """Whether the packet's frames are CELT alone (RFC 6716 §3.1)."""
    return bool(data) and data[0] >> 3 >= 16


def _first_frame(data: bytes) -> int | None:
    """Offset of the first frame's first byte, by the frame count code (RFC 6716 §3.2)."""
    code = data[0] & 3
    if code < 2:
        return 1
    if code == 2:
        return 2 + (data[1] >= 252)
    variable, padded, count = data[1] & 0x80, data[1] & 0x40, data[1] & 0x3F
    offset = 2
    while padded:
        if offset >= len(data):
            return None
        offset += 1
        if data[offset - 1] != 255:
            break
    for _ in range(count - 1 if variable else 0):
        if offset >= len(data):
            return None
        offset += 1 + (data[offset] >= 252)
    return offset


class Decoder:
    """One stream's decoder; every answer is float32 of shape (frames, channels).

    Raises ResourceError when there is no libopus.
    """

    def __init__(self, rate: int = 48000, channels: int = 2) -> None:
        self.rate = rate
        self.channels = channels
        self._library = _library()
        error = ctypes.c_int()
        self._state = self._library.opus_decoder_create(rate, channels, ctypes.byref(error))
        if not self._state:
            raise ResourceError(f"libopus cannot decode {channels} channels at {rate} Hz (error {error.value})")
        self._output = np.empty((round(rate / _MAX_FRAMES_PER_SECOND), channels), np.float32)

    def __del__(self) -> None:
        if getattr(self, "_state", None):
            self._library.opus_decoder_destroy(self._state)

    def decode(self, data: bytes) -> NDArray[np.float32]:
        """Raises Malformed when it is no Opus packet."""
        return self._decode(data, len(self._output), fec=False)

    def conceal(self, samples: int) -> NDArray[np.float32]:
        """What libopus makes up for `samples` frames of lost sound (a multiple of 2.5 ms, any length)."""
        return self._pieces(None, samples)

    def decode_fec(self, data: bytes, samples: int) -> NDArray[np.float32]:
        """The lost packet of `samples` frames right before `data`, from its in-band FEC, or concealed without it."""
        return self._pieces(data, samples)

    def _pieces(self, data: bytes | None, samples: int) -> NDArray[np.float32]:
        """libopus rebuilds 120 ms at a time; FEC speaks of the end of the hole."""
        longest = len(self._output)
        leading = [self._decode(None, longest, fec=False) for _ in range((samples - 1) // longest)]
        leading.append(self._decode(data, samples - longest * len(leading), fec=data is not None))
        return np.concatenate(leading)

    def _decode(self, data: bytes | None, samples: int, fec: bool) -> NDArray[np.float32]:
        frames = self._library.opus_decode_float(
            self._state, data, len(data or b""), self._output.ctypes.data, samples, int(fec)
        )
        if frames < 0:
            raise Malformed("opus", f"libopus error {frames}")
        return self._output[:frames].copy()


@cache
def _library() -> ctypes.CDLL:
    library = _load()
    library.opus_decoder_create.restype = ctypes.c_void_p
    library.opus_decoder_create.argtypes = [ctypes.c_int32, ctypes.c_int, ctypes.POINTER(ctypes.c_int)]
    library.opus_decoder_destroy.restype = None
    library.opus_decoder_destroy.argtypes = [ctypes.c_void_p]
    library.opus_decode_float.restype = ctypes.c_int
    library.opus_decode_float.argtypes = [
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.c_int32,
        ctypes.c_void_p,
        ctypes.c_int,
        ctypes.c_int,
    ]
    return library


def _load() -> ctypes.CDLL:
    for name in _candidates():
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise ResourceError("libopus is missing: install it (Debian: libopus0; macOS: brew install opus)")


def _candidates() -> list[str]:
    system = ctypes.util.find_library("opus")
    package = Path(av.__file__).parent
    bundled = [*package.parent.glob("av.libs/*opus*"), *package.glob(".dylibs/*opus*")]
    return [*([system] if system else []), *map(str, bundled)]
