"""Access units without codecs: each can be told apart, and passes through the real payload formats unchanged."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.support.clock import MILLISECOND, SECOND

_START_CODE = b"\x00\x00\x00\x01"
_PARAMETER_SETS = _START_CODE + b"\x67\x42\xc0\x1e\xaa" + _START_CODE + b"\x68\xce\x3c\x80"


@dataclass(frozen=True, slots=True)
class Item:
    """One access unit and when it comes to the session."""

    at: int
    """ns since the traffic began."""
    stream: int
    """which of the sender's streams."""
    data: bytes
    timestamp: int
    """RTP ticks since the traffic began."""
    key_frame: bool = True
    age: int = 0
    """ns for which it has been under way to the session: blocks of sound fill, encoders take time."""


def h264_frame(number: int, size: int, key_frame: bool) -> bytes:
    """Annex B of about `size` bytes: one slice, before it SPS and PPS in a key frame. `number` is in it."""
    digits = bytes(
        0x80 | number >> shift & 0x7F for shift in (21, 14, 7, 0)
    )  # no byte of it can look like a start code
    head = (_PARAMETER_SETS if key_frame else b"") + _START_CODE + (b"\x65" if key_frame else b"\x41")
    return head + digits + b"\xa5" * max(1, size - len(head) - len(digits))


def opus_packet(number: int, size: int = 120) -> bytes:
    """20 ms of full-band CELT by its TOC (RFC 6716 §3.1); the rest holds `number` and is not meant for a decoder."""
    return b"\xf8" + number.to_bytes(4) + b"\x5a" * max(0, size - 5)


def frame_number(data: bytes) -> int:
    """The number in a unit of `h264_frame` or `opus_packet`."""
    if data[:1] == b"\xf8":
        return int.from_bytes(data[1:5])
    at = data.rindex(_START_CODE) + len(_START_CODE) + 1
    digits = data[at : at + 4]
    return sum((digit & 0x7F) << shift for digit, shift in zip(digits, (21, 14, 7, 0), strict=True))


def video(
    duration: int,
    *,
    stream: int = 0,
    fps: int = 30,
    size: int = 4000,
    key_size: int = 20_000,
    key_every: int = 60,
    start: int = 0,
    first: int = 0,
) -> Iterator[Item]:
    """H.264 at a steady rate; frame `first` is the first number, `start` its moment in ns."""
    for number in range(first, first + duration * fps // SECOND):
        key_frame = (number - first) % key_every == 0
        at = start + (number - first) * SECOND // fps
        data = h264_frame(number, key_size if key_frame else size, key_frame)
        yield Item(at, stream, data, at * 90_000 // SECOND, key_frame)


def audio(duration: int, *, stream: int = 0, size: int = 120, start: int = 0, first: int = 0) -> Iterator[Item]:
    """Opus packets of 20 ms."""
    packet_time = 20 * MILLISECOND
    for number in range(first, first + duration // packet_time):
        at = start + (number - first) * packet_time
        yield Item(at, stream, opus_packet(number, size), at * 48_000 // SECOND)


def together(*streams: Iterable[Item]) -> Iterator[Item]:
    """Several streams in the order of time."""
    return heapq.merge(*streams, key=lambda item: item.at)
