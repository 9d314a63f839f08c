"""Restart intervals of a JPEG scan: stretches that decode alone, each ended by a marker RST0 to RST7 in turn."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from protocol.errors import Truncated
from protocol.payload.jfif import Jpeg

_RESTART_MARKER = re.compile(rb"\xff[\xd0-\xd7]")

# A block that is as grey as the one before: DC difference 0, end of block, in the codes of T.81 tables K.3 to K.6.
_GREY_LUMINANCE, _GREY_CHROMINANCE = "001010", "0000"


def split(scan: bytes) -> list[bytes]:
    """The intervals of a scan, each with the marker that ends it."""
    ends = [marker.end() for marker in _RESTART_MARKER.finditer(scan)]
    return [scan[a:b] for a, b in zip([0, *ends], [*ends, len(scan)], strict=True)]


def restore(picture: Jpeg, chunks: Sequence[tuple[int, bytes, bool]], previous: Jpeg | None) -> bytes:
    """A whole scan for `picture` from (number of the first interval, data, whether the last interval is whole).

    What is missing comes from `previous` where that has the same layout and tables, and is grey otherwise. Raises
    Truncated when not one interval is whole."""
    count = picture.interval_count
    arrived: dict[int, bytes] = {}
    for first, data, whole in chunks:
        intervals = _bare(data)
        known = intervals if whole else intervals[:-1]
        arrived |= {number: interval for number, interval in enumerate(known, first) if interval}
    if not any(number < count for number in arrived):
        raise Truncated("jpeg_frame", "no restart interval is whole")
    spare = _spare(picture, previous)
    parts = [arrived.get(number) or spare[number] for number in range(count)]
    return b"".join(b"\xff%c" % (0xD0 + (number - 1) % 8) + part for number, part in enumerate(parts))[2:]


def _bare(data: bytes) -> list[bytes]:
    """The intervals in `data` without markers; the marker between two packets may stand in either. The last one is
    empty where `data` ends in a marker."""
    intervals = _RESTART_MARKER.split(data)
    return intervals if intervals[0] or len(intervals) == 1 else intervals[1:]


def _spare(picture: Jpeg, previous: Jpeg | None) -> list[bytes]:
    """What stands in for each interval of `picture`, without markers."""
    if previous is not None and replace(previous, scan=b"") == picture:
        intervals = _RESTART_MARKER.split(previous.scan)
        if len(intervals) == picture.interval_count:
            return intervals
    size, count = picture.restart_interval, picture.interval_count
    last = picture.mcu_count - size * (count - 1)
    return [_grey(picture.vertical_sampling, size)] * (count - 1) + [_grey(picture.vertical_sampling, last)]


@lru_cache(maxsize=8)
def _grey(vertical_sampling: int, mcus: int) -> bytes:
    """An interval of `mcus` grey units, filled up with ones."""
    bits = (_GREY_LUMINANCE * (2 * vertical_sampling) + _GREY_CHROMINANCE * 2) * mcus
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")
