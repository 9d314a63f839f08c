"""Which payload format an rtpmap means: an explicit table, nothing registers itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from protocol.errors import Malformed, Unsupported
from protocol.payload import h264, jpeg, vp8
from protocol.payload.base import Depacketizer, Packetizer
from protocol.payload.load import CLOCK_RATE, ENCODING, Load
from protocol.payload.opus import Opus
from protocol.payload.pcm import Pcm

Parameters = Mapping[str, str]

_PACKETIZERS: Mapping[str, Callable[[int, Parameters], Packetizer]] = {
    "H264": lambda _, parameters: h264.Packetizer(parameters),
    "VP8": lambda *_: vp8.Packetizer(),
    "JPEG": lambda *_: jpeg.Packetizer(),
    "OPUS": lambda *_: Opus(),
    "L16": lambda channels, _: Pcm(2 * channels),
    "PCMU": lambda channels, _: Pcm(channels),
    "PCMA": lambda channels, _: Pcm(channels),
    ENCODING.upper(): lambda *_: Load(),
}

_DEPACKETIZERS: Mapping[str, Callable[[int, Parameters], Depacketizer]] = {
    "H264": lambda _, parameters: h264.Depacketizer(parameters),
    "VP8": lambda *_: vp8.Depacketizer(),
    "JPEG": lambda *_: jpeg.Depacketizer(),
    "OPUS": lambda *_: Opus(),
    "L16": lambda channels, _: Pcm(2 * channels),
    "PCMU": lambda channels, _: Pcm(channels),
    "PCMA": lambda channels, _: Pcm(channels),
    ENCODING.upper(): lambda *_: Load(),
}

_CLOCK_RATES: Mapping[str, int] = {
    "H264": 90000,
    "VP8": 90000,
    "JPEG": 90000,
    "OPUS": 48000,
    ENCODING.upper(): CLOCK_RATE,
}
"""Where the payload format fixes it."""

SLOWEST, FASTEST, MOST_CHANNELS = 4000, 192_000, 8
"""Sound beyond these is nobody's, but costs whoever resamples it."""

DEFAULT_PAYLOAD_TYPES: Mapping[int, tuple[str, int, int, Parameters]] = {
    0: ("PCMU", 8000, 1, {}),
    8: ("PCMA", 8000, 1, {}),
    10: ("L16", 44100, 2, {}),
    11: ("L16", 44100, 1, {}),
    26: ("JPEG", 90000, 1, {}),
    96: ("H264", 90000, 1, {"packetization-mode": "1"}),
    97: ("opus", 48000, 2, {}),
    98: ("VP8", 90000, 1, {}),
    99: ("L16", 48000, 1, {}),
    100: ("L16", 48000, 2, {}),
    127: (ENCODING, CLOCK_RATE, 1, {}),
}
"""payload type: (encoding, clock rate, channels, fmtp). Below 96 as RFC 3551 §6 assigns them, the others by agreement
between our two ends: what a receiver assumes that was given no SDP."""

DEFAULT_RTX_PAYLOAD_TYPES: Mapping[int, int] = {112: 96, 113: 97, 114: 98, 115: 99, 116: 100}
"""payload type of retransmissions (RFC 4588): that of the originals (`apt`)."""

RED_PAYLOAD_TYPE, FEC_PAYLOAD_TYPE = 101, 102
"""of redundant sound (RFC 2198), and of Reed–Solomon repair packets, which name the stream they are about."""


def packetizer(encoding: str, clock_rate: int, channels: int, parameters: Parameters) -> Packetizer:
    """A new packetizer; encoding names are compared without case. Raises Unsupported or Malformed."""
    name = _checked(encoding, clock_rate, channels)
    return _PACKETIZERS[name](channels, parameters)


def depacketizer(encoding: str, clock_rate: int, channels: int, parameters: Parameters) -> Depacketizer:
    """A new depacketizer; encoding names are compared without case. Raises Unsupported or Malformed."""
    name = _checked(encoding, clock_rate, channels)
    return _DEPACKETIZERS[name](channels, parameters)


def _checked(encoding: str, clock_rate: int, channels: int) -> str:
    name = encoding.upper()
    if name not in _DEPACKETIZERS:
        raise Unsupported("payload_format", f"{encoding}/{clock_rate}")
    if clock_rate != _CLOCK_RATES.get(name, clock_rate) or clock_rate < 1:
        raise Malformed("payload_format", f"{encoding} has no clock rate of {clock_rate}")
    if name not in _CLOCK_RATES and not SLOWEST <= clock_rate <= FASTEST:
        raise Unsupported("payload_format", f"{encoding} at {clock_rate} Hz")
    if not 1 <= channels <= MOST_CHANNELS:
        raise Unsupported("payload_format", f"{encoding} with {channels} channels")
    return name
