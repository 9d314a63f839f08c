"""JPEG files (ITU-T T.81 Annex B), as far as RFC 2435 can carry them: baseline, three components in one scan,
4:2:2 or 4:2:0, the standard Huffman tables."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from protocol.errors import Malformed, Truncated, Unsupported
from protocol.payload import jpeg_tables

SOI, EOI, APP0, DQT, DHT, DRI, SOS, SOF0 = 0xD8, 0xD9, 0xE0, 0xDB, 0xC4, 0xDD, 0xDA, 0xC0
_SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7]")
"""A marker in the entropy-coded data that is neither a stuffed 0xFF nor RSTn."""
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {DHT, 0xC8, 0xCC}
_STANDARD_HUFFMAN = {
    0x00: jpeg_tables.DC_LUMINANCE,
    0x10: jpeg_tables.AC_LUMINANCE,
    0x01: jpeg_tables.DC_CHROMINANCE,
    0x11: jpeg_tables.AC_CHROMINANCE,
}
"""By the octet that names them in a DHT: class, then identifier."""
_ADVICE = "encode it as baseline with chroma 4:2:0 or 4:2:2 and without optimised Huffman tables"


@dataclass(frozen=True, slots=True)
class Jpeg:
    """One picture."""

    width: int
    height: int
    vertical_sampling: int
    """of the luminance: 1 is 4:2:2, 2 is 4:2:0; the horizontal one is 2 in both."""
    restart_interval: int
    """MCUs between restart markers; 0 without."""
    tables: tuple[bytes, bytes]
    """quantisation tables for luminance and chrominance in zigzag order: 64 bytes of 8 bits, or 128 bytes of 16."""
    scan: bytes
    """entropy-coded data with its RSTn markers, without EOI."""

    @property
    def mcu_count(self) -> int:
        """Minimum coded units in the picture: 16×8 or 16×16 pixels each."""
        return -(-self.width // 16) * -(-self.height // (8 * self.vertical_sampling))

    @property
    def interval_count(self) -> int:
        """Restart intervals in the picture; 1 without restart markers."""
        return -(-self.mcu_count // self.restart_interval) if self.restart_interval else 1


@dataclass(slots=True)
class _Header:
    """What the segments before the scan say."""

    tables: dict[int, bytes] = field(default_factory=dict)
    huffman: dict[int, bytes] = field(default_factory=lambda: dict(_STANDARD_HUFFMAN))
    """Motion JPEG may leave the standard tables out."""
    restart_interval: int = 0
    frame: bytes = b""


def parse(data: bytes) -> Jpeg:
    """A JPEG file. Raises Truncated, Malformed, or Unsupported when RFC 2435 cannot carry it."""
    if data[:2] != bytes([0xFF, SOI]):
        raise Malformed("jpeg_marker", "no JPEG file")
    header = _Header()
    for marker, body, end in _segments(data):
        if marker == SOS:
            return _picture(header, body, _scan(data, end))
        _read_segment(header, marker, body)
    raise Truncated("jpeg_scan", "no scan")


def _segments(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """(marker, body, offset behind it) of each marker segment."""
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            raise Malformed("jpeg_marker", f"0x{data[at]:02x} where a marker should be")
        if data[at + 1] == 0xFF:  # a fill byte
            at += 1
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if end > len(data) or end < at + 4:
            raise Truncated("jpeg_segment", "a segment longer than the file")
        yield data[at + 1], data[at + 4 : end], end
        at = end


def _read_segment(header: _Header, marker: int, body: bytes) -> None:
    if marker == DQT:
        header.tables |= _quantizer_tables(body)
    elif marker == DHT:
        header.huffman |= _huffman_tables(body)
    elif marker == DRI:
        header.restart_interval = int.from_bytes(body[:2], "big")
    elif marker == SOF0:
        header.frame = body
    elif marker in _FRAME_HEADERS:
        raise Unsupported("jpeg_baseline", f"a progressive or extended JPEG; {_ADVICE}")


def _quantizer_tables(body: bytes) -> dict[int, bytes]:
    tables = {}
    while body:
        size = 128 if body[0] >> 4 else 64
        if len(body) <= size:
            raise Truncated("jpeg_dqt", "a quantisation table is cut off")
        tables[body[0] & 15] = body[1 : 1 + size]
        body = body[1 + size :]
    return tables


def _huffman_tables(body: bytes) -> dict[int, bytes]:
    tables = {}
    while body:
        size = 16 + sum(body[1:17])
        if len(body) <= size:
            raise Truncated("jpeg_dht", "a Huffman table is cut off")
        tables[body[0]] = body[1 : 1 + size]
        body = body[1 + size :]
    return tables


def _scan(data: bytes, start: int) -> bytes:
    end = _SCAN_END.search(data, start)
    if end is None:
        return data[start:]
    if data[end.end() - 1] != EOI:
        raise Unsupported("jpeg_scan", f"more than one scan; {_ADVICE}")
    return data[start : end.start()]


def _picture(header: _Header, scan_header: bytes, scan: bytes) -> Jpeg:
    frame = header.frame
    if not scan:
        raise Truncated("jpeg_scan", "an empty scan")
    if len(frame) < 6 or len(frame) != 6 + 3 * frame[5]:
        raise Malformed("jpeg_sof", "no frame header before the scan")
    _, height, width, count = struct.unpack("!BHHB", frame[:6])
    if count != 3 or len(scan_header) != 10 or scan_header[0] != 3:
        raise Unsupported("jpeg_components", f"{count} components, not colour in one scan; {_ADVICE}")
    luma, *chroma = (frame[at : at + 3] for at in (6, 9, 12))
    if luma[1] not in (0x21, 0x22) or any(component[1] != 0x11 for component in chroma):
        raise Unsupported("jpeg_sampling", _ADVICE)
    if chroma[0][2] != chroma[1][2]:
        raise Unsupported("jpeg_tables", "different quantisation tables for Cb and Cr")
    _check_huffman(header.huffman, scan_header)
    try:
        tables = header.tables[luma[2]], header.tables[chroma[0][2]]
    except KeyError:
        raise Malformed("jpeg_dqt", "a quantisation table is missing") from None
    return Jpeg(width, height, luma[1] & 15, header.restart_interval, tables, scan)


def _check_huffman(tables: dict[int, bytes], scan_header: bytes) -> None:
    """RFC 2435 §3.1.1 sends no Huffman tables, so the scan must have been coded with the standard ones."""
    for at, standard in ((2, 0x00), (4, 0x01), (6, 0x01)):
        dc, ac = scan_header[at] >> 4, scan_header[at] & 15 | 0x10
        if tables.get(dc) != _STANDARD_HUFFMAN[standard] or tables.get(ac) != _STANDARD_HUFFMAN[standard | 0x10]:
            raise Unsupported("jpeg_huffman", f"Huffman tables of its own; {_ADVICE}")


def serialize(picture: Jpeg) -> bytes:
    """The picture as a JFIF file. A scan that was cut short ends all the same in EOI."""
    luma, chroma = picture.tables
    sampling = 0x20 | picture.vertical_sampling
    components = bytes([1, sampling, 0, 2, 0x11, 1, 3, 0x11, 1])
    parts = [
        bytes([0xFF, SOI]),
        _segment(APP0, b"JFIF\0\1\1\0\0\1\0\1\0\0"),
        _segment(DQT, bytes([(len(luma) > 64) << 4]) + luma),
        _segment(DQT, bytes([(len(chroma) > 64) << 4 | 1]) + chroma),
        _segment(SOF0, struct.pack("!BHHB", 8, picture.height, picture.width, 3) + components),
        *(_segment(DHT, bytes([name]) + table) for name, table in _STANDARD_HUFFMAN.items()),
    ]
    if picture.restart_interval:
        parts.append(_segment(DRI, picture.restart_interval.to_bytes(2, "big")))
    parts += [_segment(SOS, bytes([3, 1, 0x00, 2, 0x11, 3, 0x11, 0, 63, 0])), picture.scan, bytes([0xFF, EOI])]
    return b"".join(parts)


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack("!BBH", 0xFF, marker, len(body) + 2) + body
