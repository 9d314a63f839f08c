"""The capture of a session while it runs: packets and journal to a pcapng file, on a thread of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from protocol.command.versions import version
from protocol.errors import ResourceError
from receiver.capture import blocks, journal
from receiver.capture.headers import Ends, ends
from receiver.capture.records import RAW_IP
from receiver.playout.background import Writer
from receiver.playout.outputs import Log
from receiver.transport import UdpPath

_QUEUE = 8192
"""calls that wait for the disk,"""
_QUEUED_BYTES = 32_000_000
"""and bytes."""
_EACH = 1_000_000_000
"""ns of calls in one block of the journal,"""
_MOST_PACKETS = 4096
"""and packets: a reader keeps that many until it knows in which call they came."""
_MOST_ENDS = 1024
_DESCRIPTION = "datagrams as the socket gave them; IP and UDP headers rebuilt"


@dataclass(frozen=True, slots=True)
class Item:
    """One call, and the packets that belong to it."""

    serial: int
    """of all items, also those that found no room."""
    datagrams_before: int
    """in all items before this."""
    call: journal.Call | None
    """None: something was sent."""
    packets: Sequence[bytes | memoryview] = ()
    times: Sequence[int] = ()
    """monotonic ns of each."""
    path: Hashable = None


class Capture:
    """`begin` first, then `call` and `sent`, all on one thread; never blocks. What the disk is too slow for is counted
    in `dropped`, and told in the file; a disk that fills is one line to `fail`, and ends the file.

    Raises ResourceError when the file cannot be created.
    """

    def __init__(self, path: str, fail: Log, *, host: str | None = None) -> None:
        """`host`: the address that is listened to, if it is one."""
        try:
            self._file = Path(path).open("wb", 0)  # noqa: SIM115
        except OSError as error:
            raise ResourceError(f"--capture: {path} cannot be written: {error.strerror}") from error
        self.kernel_drops: Callable[[], int | None] = lambda: None
        """asked at the end."""
        self._host = host
        self._serial = self._datagrams = 0
        self._wall = time.time_ns() - time.monotonic_ns()
        self._put_bytes = self._taken_bytes = 0
        self._lost = 0
        self._end = 0
        self._written = self._packets_waiting = 0
        self._expected: tuple[int, int] = (0, 0)
        self._journal = bytearray()
        self._journal_since = 0
        self._known: dict[Hashable, Ends] = {}
        self._writer: Writer[Item | bytes] = Writer(path, self._take, self._finish, fail, _QUEUE)

    # -- the network thread -----------------------------------------------------------------------------------

    def begin(self, facts: Mapping[str, object], now: int) -> None:
        """`facts` about the session, as docs/capture.md lists them, that begins at `now` (monotonic ns)."""
        self._began = self._journal_since = now
        told = {"version": 1, "began": now, "wall_offset": self._wall, **facts}
        first = blocks.section(f"Steadycast {version() or 'from its source tree'}")
        first += blocks.interface(RAW_IP, "steadycast", _DESCRIPTION)
        self._writer.put(first + blocks.note(journal.BEGIN, journal.begin(told)))

    def call(
        self,
        call: journal.Call,
        packets: Sequence[bytes | memoryview] = (),
        times: Sequence[int] = (),
        path: Hashable = None,
    ) -> None:
        """A call of the session; `packets` came along `path` at `times` (monotonic ns)."""
        self._put(Item(self._serial, self._datagrams, call, packets, times, path))
        self._serial += 1
        self._datagrams += len(packets)

    def sent(self, packets: Sequence[bytes], now: int, path: Hashable) -> None:
        """What the session wanted sent at `now`."""
        self._put(Item(self._serial, self._datagrams, None, packets, [now] * len(packets), path))

    @property
    def dropped(self) -> int:
        """Calls that are missing in the file."""
        return self._lost

    def close(self) -> None:
        """Writes what is queued, and how much there was."""
        self._writer.close()

    def _put(self, item: Item) -> None:
        size = sum(map(len, item.packets))
        before = self._writer.dropped
        if self._writer.failed:
            return
        if self._put_bytes - self._taken_bytes + size > _QUEUED_BYTES:
            self._lost += 1
            return
        self._writer.put(item)
        if self._writer.dropped > before:
            self._lost += 1
        else:
            self._put_bytes += size

    # -- the thread that writes -------------------------------------------------------------------------------

    def _take(self, item: Item | bytes) -> None:
        if isinstance(item, bytes):
            self._write(item)
            return
        self._taken_bytes += sum(map(len, item.packets))
        self._tell_gap(item)
        parts = self._blocks(item) if item.packets else []
        if item.call is not None:
            self._expected = item.serial + 1, item.datagrams_before + len(item.packets)
            self._journal += journal.encode(item.call)
            self._packets_waiting += len(item.packets)
            now = getattr(item.call, "now", self._journal_since)
            if now - self._journal_since >= _EACH or self._packets_waiting >= _MOST_PACKETS:
                parts.append(self._journal_block())
                self._journal_since = now
        if parts:
            self._write(b"".join(parts))

    def _tell_gap(self, item: Item) -> None:
        serial, datagrams = self._expected
        if item.serial > serial:
            self._journal += journal.encode(journal.Gap(item.serial - serial, item.datagrams_before - datagrams))
            self._expected = item.serial, item.datagrams_before

    def _blocks(self, item: Item) -> list[bytes]:
        outbound = item.call is None
        way = self._ends(item.path)
        direction = blocks.OUTBOUND if outbound else blocks.INBOUND
        drops = item.call.kernel_drops if isinstance(item.call, journal.Datagrams) else 0
        parts = []
        for packet, at in zip(item.packets, item.times, strict=True):
            parts.append(
                blocks.packet(at + self._wall, way.header(packet, outbound=outbound), packet, direction, drops)
            )
            drops = 0
        self._written += 0 if outbound else len(parts)
        return parts

    def _journal_block(self) -> bytes:
        data = blocks.note(journal.CALLS, bytes(self._journal))
        self._journal.clear()
        self._packets_waiting = 0
        return data

    def _ends(self, path: Hashable) -> Ends:
        known = self._known.get(path)
        if known is None:
            if len(self._known) >= _MOST_ENDS:
                self._known.clear()
            assert isinstance(path, UdpPath)
            known = self._known[path] = ends(path.address, path.port, self._host)
        return known

    def _write(self, data: bytes) -> None:
        """Whole, or not at all: what of it a full disk took is taken back."""
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) or 0 :]
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file.fileno(), self._end)
            raise
        self._end += len(data)

    def _finish(self) -> None:
        try:
            if not self._writer.failed:
                now = time.monotonic_ns() + self._wall
                drops = self.kernel_drops()
                received = self._datagrams + (drops or 0)
                counted = blocks.statistics(now, self._began + self._wall, received, drops, self._written)
                self._write(self._journal_block() + counted)
        finally:
            self._file.close()
