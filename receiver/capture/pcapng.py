"""Reading pcapng (draft-ietf-opsawg-pcapng): sections of either byte order, any number of interfaces."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from protocol.errors import Malformed, Truncated, Unsupported
from receiver.capture import blocks
from receiver.capture.records import MAX_PACKET, Counters, Note, Packet, Record, exactly

MAGIC = blocks.SECTION_OCTETS
_ORDERS = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}
_LARGEST = 1 << 26
"""octets of a block; more is no block but damage."""
_KNOWN = {
    blocks.INTERFACE, blocks.PACKET, blocks.SIMPLE_PACKET, blocks.STATISTICS, blocks.ENHANCED_PACKET,
    blocks.CUSTOM, blocks.CUSTOM_KEPT,
}  # fmt: skip


_HEAD = {order: struct.Struct(order + "II") for order in "<>"}
_ENHANCED = {order: struct.Struct(order + "IIIII") for order in "<>"}
"""number of the interface, stamp, captured octets, octets on the wire."""
_OLD = {order: struct.Struct(order + "HHIIII") for order in "<>"}
"""the same with a count of drops after the number."""
_INBOUND = {order: struct.pack(order + "HHI", blocks.EPB_FLAGS, 4, blocks.INBOUND) for order in "<>"}


@dataclass(frozen=True, slots=True)
class Interface:
    """What stamps and packets of one interface mean."""

    link: int
    snap_length: int
    ticks: int = 1_000_000
    """in a second."""
    offset: int = 0
    """s that are to be added to stamps."""

    def time(self, high: int, low: int) -> int:
        """Unix ns."""
        stamp = high << 32 | low
        if self.ticks != 1_000_000_000:
            stamp = stamp * 1_000_000_000 // self.ticks
        return stamp + self.offset * 1_000_000_000


@dataclass(slots=True)
class Section:
    """One section: its byte order, and the interfaces described so far."""

    order: str
    interfaces: list[Interface] = field(default_factory=list)
    last: int = 0
    """stamp of the packet before: simple packet blocks have none."""

    def record(self, kind: int, body: bytes) -> Record | None:
        """What a block holds that matters here. Raises struct.error, IndexError or Malformed where it breaks a rule."""
        match kind:
            case blocks.ENHANCED_PACKET:
                return self._packet(body, *_ENHANCED[self.order].unpack_from(body))
            case blocks.INTERFACE:
                self.interfaces.append(self._interface(body))
            case blocks.SIMPLE_PACKET:
                return self._simple(body)
            case blocks.PACKET:
                number, _, *told = _OLD[self.order].unpack_from(body)
                return self._packet(body, number, *told)
            case blocks.STATISTICS:
                return self._counters(body)
            case _:
                if body.startswith(blocks.OWNER[self.order]):
                    at = len(blocks.OWNER[self.order])
                    (note,) = struct.unpack_from(self.order + "I", body, at)
                    return Note(note, body[at + 4 :])
        return None

    def _interface(self, body: bytes) -> Interface:
        link, _, snap_length = struct.unpack_from(self.order + "HHI", body)
        ticks, offset = 1_000_000, 0
        for code, value in self._options(body, 8):
            if code == blocks.IF_TSRESOL and len(value) == 1:
                ticks = 2 ** (value[0] & 127) if value[0] & 128 else 10 ** value[0]
            elif code == blocks.IF_TSOFFSET and len(value) == 8:
                (offset,) = struct.unpack(self.order + "q", value)
        return Interface(link, snap_length, ticks, offset)

    def _packet(self, body: bytes, number: int, high: int, low: int, captured: int, length: int) -> Packet:
        """From blocks in which data and options follow what is told of the packet."""
        at = 20
        if captured > MAX_PACKET or at + captured > len(body):
            raise Malformed("capture_packet", f"{captured} octets")
        interface = self.interfaces[number]
        self.last = interface.time(high, low)
        end = at + captured + -captured % 4
        outbound = end < len(body) and self._is_outbound(body, end)
        return Packet(self.last, interface.link, body[at : at + captured], length, outbound)

    def _is_outbound(self, body: bytes, at: int) -> bool:
        """What the flags among a packet's options say."""
        if body.startswith(_INBOUND[self.order], at):  # what our own captures have
            return False
        flags = [v for code, v in self._options(body, at) if code == blocks.EPB_FLAGS and len(v) == 4]
        return bool(flags) and struct.unpack(self.order + "I", flags[0])[0] & 3 == blocks.OUTBOUND

    def _simple(self, body: bytes) -> Packet:
        """The first interface's, at the time of the packet before."""
        (length,) = struct.unpack_from(self.order + "I", body)
        interface = self.interfaces[0]
        captured = min(length, interface.snap_length or length, len(body) - 4)
        return Packet(self.last, interface.link, body[4 : 4 + captured], length)

    def _counters(self, body: bytes) -> Counters:
        (number,) = struct.unpack_from(self.order + "I", body)
        found = {code: value for code, value in self._options(body, 12) if len(value) == 8}
        counts = {code: struct.unpack(self.order + "Q", value)[0] for code, value in found.items()}
        began: tuple[int, ...] = ()
        if blocks.ISB_STARTTIME in found:
            high, low = struct.unpack(self.order + "II", found[blocks.ISB_STARTTIME])
            began = self.interfaces[number].time(high, low), (high << 32 | low) * 1000  # dumpcap: always microseconds
        return Counters(began, counts.get(blocks.ISB_IFDROP), counts.get(blocks.ISB_OSDROP))

    def _options(self, body: bytes, at: int) -> Iterator[tuple[int, bytes]]:
        """Up to the end, or to where they make no sense any more."""
        while at + 4 <= len(body):
            code, length = struct.unpack_from(self.order + "HH", body, at)
            if not code or at + 4 + length > len(body):
                return
            yield code, body[at + 4 : at + 4 + length]
            at += 4 + length + -length % 4


def read(file: BinaryIO) -> Iterator[Record]:
    """Packets, counters and our own notes, in the file's order; other blocks are skipped. Raises Truncated or Malformed
    where the file goes wrong, after what came before; Unsupported for a version nobody writes."""
    section = Section("<")
    while head := file.read(8):
        if len(head) < 8:
            raise Truncated("capture_cut")
        if head[:4] == blocks.SECTION_OCTETS:
            section = _section(file, head[4:])
            continue
        kind, size = _HEAD[section.order].unpack(head)
        _check(size)
        if kind not in _KNOWN:
            _skip(file, size - 8)
            continue
        body = exactly(file, size - 8)
        if body[-4:] != head[4:]:
            raise Malformed("capture_block", "its two lengths differ")
        try:
            record = section.record(kind, body[:-4])
        except (struct.error, IndexError) as error:
            raise Malformed("capture_block", str(error)) from None
        if record is not None:
            yield record


def _section(file: BinaryIO, size_octets: bytes) -> Section:
    magic = exactly(file, 4)
    if magic not in _ORDERS:
        raise Malformed("capture_section", magic.hex())
    order = _ORDERS[magic]
    (size,) = struct.unpack(order + "I", size_octets)
    _check(size)
    if size < 28:
        raise Malformed("capture_section", f"{size} octets")
    major, _minor = struct.unpack_from(order + "HH", exactly(file, size - 12))
    if major != 1:
        raise Unsupported("capture_version", f"pcapng {major}")
    return Section(order)


def _check(size: int) -> None:
    if not 12 <= size <= _LARGEST or size % 4:
        raise Malformed("capture_block", f"{size} octets")


def _skip(file: BinaryIO, count: int) -> None:
    """Past a block; the end of the file must not lie inside."""
    file.seek(count - 1, os.SEEK_CUR)
    exactly(file, 1)
