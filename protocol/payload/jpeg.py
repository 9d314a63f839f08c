"""JPEG in RTP (RFC 2435), types 0 (4:2:2), 1 (4:2:0), and 64, 65: the same with restart markers.

 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
| Type-specific |              Fragment Offset                  |
|      Type     |       Q       |     Width/8   |    Height/8   |
|       Restart Interval        |F|L|       Restart Count       |   types 64 to 127
|      MBZ      |   Precision   |             Length            |   Q 128 to 255, at fragment offset 0
|                  quantisation tables, Length bytes …          |

Only the scan travels; the receiver rebuilds every header. Sizes travel in units of 8 pixels: any other is rounded
up, and the edge shows what the encoder padded its last blocks with.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from protocol.errors import Malformed, Truncated, Unsupported, UsageError
from protocol.payload import jfif, jpeg_tables
from protocol.payload.base import Video, fragments, parse_each
from protocol.payload.jfif import Jpeg
from protocol.payload.jpeg_restart import restore, split

MAX_SIZE = 2040
_RESTART = 64
"""Added to the type where restart markers are used."""
_WHOLE_FRAME = 0x3FFF
"""The restart count of packets that are not aligned with restart intervals (§3.1.7)."""
_FIRST, _LAST = 0x8000, 0x4000
_EOI = bytes([0xFF, jfif.EOI])


def check_size(width: int, height: int) -> None:
    """Raises Unsupported for a picture that the header's 8 bits cannot describe."""
    if not (0 < width <= MAX_SIZE and 0 < height <= MAX_SIZE):
        raise Unsupported(
            "jpeg_size", f"JPEG over RTP carries at most {MAX_SIZE}x{MAX_SIZE} pixels, not {width}x{height}"
        )


class Packetizer:
    """JFIF file → payloads."""

    def packetize(self, data: bytes, max_payload: int) -> list[bytes]:
        """Tables that are those of a Q go as that Q, others in the first packet with Q 255.

        With restart markers a packet holds whole restart intervals where they fit (§3.1.7), so that the others
        can be decoded when it is lost. Raises Malformed or Unsupported, whose text says how to encode instead."""
        if not data:
            return []
        picture = jfif.parse(data)
        check_size(picture.width, picture.height)
        quality = jpeg_tables.quality_of(picture.tables)
        tables = b"" if quality else _tables_header(picture.tables)
        intervals = split(picture.scan)
        if len(intervals) != picture.interval_count:
            raise Malformed("jpeg_restart", f"{len(intervals)} restart intervals, not {picture.interval_count}")
        if not picture.restart_interval:
            pieces = [(b"", piece) for piece in _cut(picture.scan, max_payload - 8, len(tables))]
        elif len(intervals) < _WHOLE_FRAME:
            pieces = _chunks(intervals, picture.restart_interval, max_payload - 12, len(tables))
        else:
            header = struct.pack("!HH", picture.restart_interval, _FIRST | _LAST | _WHOLE_FRAME)
            pieces = [(header, piece) for piece in _cut(picture.scan, max_payload - 12, len(tables))]
        kind = picture.vertical_sampling - 1 | (_RESTART if picture.restart_interval else 0)
        rest = bytes([kind, quality or 255, -(-picture.width // 8), -(-picture.height // 8)])
        payloads, offset = [], 0
        for restart, piece in pieces:
            payloads.append(b"".join((offset.to_bytes(4, "big"), rest, restart, b"" if offset else tables, piece)))
            offset += len(piece)
        if offset >= 1 << 24:
            raise Unsupported("jpeg_size", f"a picture of {offset} bytes; lower the quality")
        return payloads


def _tables_header(tables: tuple[bytes, bytes]) -> bytes:
    """The quantisation table header (§3.1.8)."""
    precision = sum((len(table) > 64) << i for i, table in enumerate(tables))
    body = b"".join(tables)
    return struct.pack("!BBH", 0, precision, len(body)) + body


def _cut(data: bytes, room: int, reserved: int) -> list[bytes]:
    """Pieces of at most `room` bytes; the first leaves `reserved` bytes free."""
    if not reserved:
        return fragments(data, room)
    first = room - reserved
    if first < 1:
        raise UsageError("the packet size leaves no room for JPEG's quantisation tables; use a larger one")
    return [data[:first], *fragments(data[first:], room)]


def _chunks(intervals: Sequence[bytes], restart_interval: int, room: int, reserved: int) -> list[tuple[bytes, bytes]]:
    """(restart marker header, piece of the scan): as many whole intervals as fit, or a part of a large one."""
    pieces: list[tuple[bytes, bytes]] = []

    def add(count: int, chunk: bytes) -> None:
        parts = _cut(chunk, room, 0 if pieces else reserved)
        for i, part in enumerate(parts):
            flags = _FIRST * (i == 0) | _LAST * (i == len(parts) - 1)
            pieces.append((struct.pack("!HH", restart_interval, flags | count), part))

    start, chunk = 0, b""
    for index, interval in enumerate(intervals):
        if chunk and len(chunk) + len(interval) > room - (0 if pieces else reserved):
            add(start, chunk)
            start, chunk = index, b""
        chunk += interval
    if chunk:
        add(start, chunk)
    return pieces


@dataclass(frozen=True, slots=True)
class _Picture:
    """What all packets of a picture agree on."""

    kind: int
    quality: int
    width: int
    height: int
    restart_interval: int


@dataclass(frozen=True, slots=True)
class _Fragment:
    picture: _Picture
    offset: int
    restart: int
    """F, L and the restart count; F, L and 0x3FFF without restart markers."""
    tables: tuple[bytes, bytes] | None
    data: bytes


class Depacketizer(Video):
    """Payloads → JFIF file.

    Remembers the tables of Q 128 to 254, which need not be sent again (§3.1.8), and the picture before, from which
    it takes restart intervals that are missing."""

    def __init__(self) -> None:
        self._tables: dict[int, tuple[bytes, bytes]] = {}
        self._previous: Jpeg | None = None

    def begins(self, payload: bytes | memoryview) -> bool:
        if len(payload) < 8:
            raise Truncated("jpeg_header", f"{len(payload)} bytes")
        return not any(payload[1:4])

    def depacketize(self, payloads: Sequence[bytes | None]) -> bytes:
        """The picture. With a hole and restart markers the intervals that arrived, the others from the picture
        before (grey at first); with a hole and without them, what comes before it."""
        parts = parse_each(payloads, _parse)
        first = next(part for part in parts if part is not None)
        # A packet that disagrees with the first about the picture is as good as missing.
        parts = [part if part is not None and part.picture == first.picture else None for part in parts]
        tables = self._quantizers(first)
        runs = _runs(parts)
        whole = len(runs) == 1 and runs[0][0].offset == 0 and None not in parts
        head = first.picture
        picture = Jpeg(head.width, head.height, (head.kind & 1) + 1, head.restart_interval, tables, b"")
        if whole or not head.restart_interval:
            if runs[0][0].offset:
                raise Truncated("jpeg_frame", "its beginning is missing")
            scan = b"".join(part.data for part in runs[0]).removesuffix(_EOI)
        else:
            scan = restore(picture, _known_chunks(runs), self._previous)
        picture = replace(picture, scan=scan)
        self._previous = picture if head.restart_interval else None
        return jfif.serialize(picture)

    def key_frame(self, data: bytes) -> bool:  # noqa: ARG002
        return True

    def _quantizers(self, first: _Fragment) -> tuple[bytes, bytes]:
        quality = first.picture.quality
        if quality < 128:
            return jpeg_tables.quantizers(quality)
        tables = first.tables or self._tables.get(quality)
        if tables is None:
            raise Truncated("jpeg_tables", f"the quantisation tables of Q {quality} are missing")
        if quality < 255:
            self._tables[quality] = tables
        return tables


def _runs(parts: Sequence[_Fragment | None]) -> list[list[_Fragment]]:
    """The fragments in runs without a hole."""
    runs: list[list[_Fragment]] = []
    end = None
    for part in parts:
        if part is None:
            end = None
            continue
        if part.offset != end:
            runs.append([])
        runs[-1].append(part)
        end = part.offset + len(part.data)
    return runs


def _known_chunks(runs: Sequence[Sequence[_Fragment]]) -> list[tuple[int, bytes, bool]]:
    """(number of the first restart interval, data, whether its last interval is whole) wherever the number is known."""
    chunks: list[tuple[int, bytes, bool]] = []
    for run in runs:
        marks = [i for i, part in enumerate(run) if _numbered(part) and part.restart & _FIRST]
        if run[0].offset == 0 and 0 not in marks:
            marks = [0, *marks]
        for start, end in pairwise([*marks, len(run)]):
            head, last = run[start], run[end - 1]
            count = head.restart & _WHOLE_FRAME if _numbered(head) else 0
            data = b"".join(part.data for part in run[start:end]).removesuffix(_EOI)
            chunks.append((count, data, _numbered(last) and bool(last.restart & _LAST)))
    return chunks


def _numbered(part: _Fragment) -> bool:
    return part.restart & _WHOLE_FRAME != _WHOLE_FRAME


def _parse(payload: bytes) -> _Fragment:
    if len(payload) < 8:
        raise Truncated("jpeg_header", f"{len(payload)} bytes")
    word, kind, quality, width, height = struct.unpack_from("!IBBBB", payload)
    offset, at = word & 0xFFFFFF, 8
    if kind & ~_RESTART > 1:
        raise Unsupported("jpeg_type", f"type {kind}")
    if word >> 24 in (1, 2):
        raise Unsupported("jpeg_interlaced", "fields of an interlaced picture")
    if not (width and height) or quality == 0 or 100 <= quality < 128:
        raise Malformed("jpeg_header", f"{8 * width}x{8 * height}, Q {quality}")
    interval, restart = 0, _FIRST | _LAST | _WHOLE_FRAME
    if kind & _RESTART:
        if len(payload) < at + 4:
            raise Truncated("jpeg_restart", "no restart marker header")
        interval, restart = struct.unpack_from("!HH", payload, at)
        at += 4
        if not interval:
            raise Malformed("jpeg_restart", "a restart interval of 0")
    tables = None
    if quality >= 128 and not offset:
        tables, at = _parse_tables(payload, at)
    if at >= len(payload):
        raise Truncated("jpeg_payload", "no data")
    return _Fragment(_Picture(kind, quality, 8 * width, 8 * height, interval), offset, restart, tables, payload[at:])


def _parse_tables(payload: bytes, at: int) -> tuple[tuple[bytes, bytes] | None, int]:
    """(the tables, or None where they are left out; offset behind them). A single one serves for both."""
    if len(payload) < at + 4:
        raise Truncated("jpeg_tables", "no quantisation table header")
    _, precision, length = struct.unpack_from("!BBH", payload, at)
    at += 4
    if not length:
        return None, at
    sizes = [128 if precision >> i & 1 else 64 for i in (0, 1)]
    if length == sizes[0]:
        sizes = [length, 0]
    elif length < sum(sizes):
        raise Malformed("jpeg_tables", f"{length} bytes of quantisation tables")
    if len(payload) < at + length:
        raise Truncated("jpeg_tables", "quantisation tables are cut off")
    luminance = payload[at : at + sizes[0]]
    return (luminance, payload[at + sizes[0] : at + sum(sizes)] or luminance), at + length
