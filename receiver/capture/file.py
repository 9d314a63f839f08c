"""One capture file: which format it has, its records, and what went wrong in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from protocol.errors import Malformed, Truncated, Unsupported, UsageError
from receiver.capture import pcap, pcapng
from receiver.capture.records import Record

_BUFFER = 1 << 20
_PACKED = {b"\x1f\x8b": "gunzip", b"\x28\xb5": "zstd -d", b"\x04\x22": "lz4 -d", b"BZ": "bunzip2", b"\xfd7": "unxz"}
"""how compressed files begin, and what unpacks them."""


class CaptureFile:
    """Opened for reading. Raises UsageError, one line, when it is no capture at all.

    `records` may be called again and again: each time the file is read from its beginning, record by record.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.damage: str | None = None
        """where the file ends too soon or makes no sense any more, in words; known once it has been read."""
        try:
            with Path(path).open("rb") as file:
                magic = file.read(4)
                self.size = os.fstat(file.fileno()).st_size
                if not file.seekable():
                    raise UsageError(f"{path} is a pipe: save the capture in a file first, it is read twice")
        except OSError as error:
            raise UsageError(f"cannot read {path}: {error.strerror}") from None
        self.format = _format(path, magic)

    def records(self) -> Iterator[Record]:
        """In the file's order, up to its end or its damage."""
        self.damage = None
        with Path(self.path).open("rb", _BUFFER) as file:
            try:
                yield from self._read(file)
            except Truncated:
                self.damage = f"{self.path} ends in the middle of a packet"
            except Malformed as error:
                self.damage = f"{self.path} is damaged after {file.tell()} bytes ({error})"
            except OSError as error:
                self.damage = f"{self.path} cannot be read after {file.tell()} bytes: {error.strerror}"

    def _read(self, file: BinaryIO) -> Iterator[Record]:
        try:
            yield from pcap.read(file) if self.format == "pcap" else pcapng.read(file)
        except Unsupported as error:
            raise UsageError(f"{self.path} is of a version that nobody writes: {error}") from None


def _format(path: str, magic: bytes) -> str:
    if not magic:
        raise UsageError(f"{path} is empty: no capture was written")
    if magic in pcap.MAGICS:
        return "pcap"
    if magic == pcapng.MAGIC:
        return "pcapng"
    if magic[:2] in _PACKED:
        raise UsageError(f"{path} is compressed: unpack it first, with {_PACKED[magic[:2]]}")
    raise UsageError(f"{path} is no capture: pcap or pcapng is wanted, as tcpdump -w, dumpcap and --capture write them")
