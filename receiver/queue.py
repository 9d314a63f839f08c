"""One of the kernel's receive queues: its datagrams as batches, what it dropped placed between them."""

from __future__ import annotations

import socket
import time
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from protocol.datagram import Batch
from protocol.serial import difference
from receiver.reading import Reads, open_reader
from receiver.sockets import aggregates, kernel_drops


class UdpPath(NamedTuple):
    """Where datagrams came from: the path of their batch, and of the answers."""

    port: int
    """ours."""
    address: tuple[Any, ...]
    """theirs, as the socket module has it."""

    def __str__(self) -> str:
        host = str(self.address[0]).removeprefix("::ffff:")
        return f"[{host}]:{self.address[1]}" if ":" in host else f"{host}:{self.address[1]}"


class Queue:
    """A socket and its reader. What `read` returns is valid until the next call."""

    def __init__(self, sock: socket.socket, *, steered: bool = False) -> None:
        """`steered`: only datagrams of one sender come to it (`receiver.steering`)."""
        self.socket, self.steered = sock, steered
        self.port: int = sock.getsockname()[1]
        self.emptied = True
        """the read before left nothing."""
        self.newest_stamp = 0
        """the kernel's, Unix ns, of the last datagram read; 0: none."""
        self._reader = open_reader(sock)
        self._aggregates = aggregates(sock)
        self._overflows = 0
        self._address: Any = ("", 0)

    def kernel_drops(self) -> int | None:
        """The kernel's own count, now."""
        return kernel_drops(self.socket)

    def read(self, offset: int | None, *, ask: bool) -> list[Batch]:
        """What is there, as far as the reader's buffer holds it. `offset`: monotonic minus wall clock in ns, None when
        kernel stamps mean nothing. `ask` also for the kernel's own count: taken before, it shows what was dropped after
        the last datagram."""
        count = self.kernel_drops() if ask else None
        reads = self._reader.read()
        self.emptied = reads is None or reads.emptied
        batches: list[Batch] = []
        if reads is not None:
            self.newest_stamp = int(reads.stamps[-1])
            batches = self._batches(reads, offset)
        step = 0 if count is None else difference(count, self._overflows, 32)
        if step > 0 and self.emptied:
            self._overflows += step
            batches.append(self._nothing_after(step))
        return batches

    def _nothing_after(self, drops: int) -> Batch:
        none = np.zeros(0, np.int64)
        path = UdpPath(self.port, self._address)
        return Batch(self._reader.buffer, none, none, none, path, drops, not self._aggregates, self.steered)

    def _steps(self, overflows: NDArray[np.int64] | None) -> list[tuple[int, int]]:
        """(row, datagrams dropped just before it): the steps of the kernel's 32-bit count."""
        if overflows is None:
            return []
        before, steps = self._overflows, []
        changes = np.flatnonzero(np.diff(overflows, prepend=before & 0xFFFF_FFFF))
        for row, count in zip(changes.tolist(), overflows[changes].tolist(), strict=True):
            step = difference(count, before & 0xFFFF_FFFF, 32)
            if step > 0:
                steps.append((row, step))
                before += step
        self._overflows = before
        return steps

    def _batches(self, reads: Reads, offset: int | None) -> list[Batch]:
        """Another batch begins at each step of the kernel's count, and for each address."""
        columns = reads.starts, reads.lengths, reads.segments, _arrival_times(reads.stamps, offset)
        self._address = reads.addresses[-1]
        steps = self._steps(reads.overflows)
        if not steps and len(reads.addresses) == 1:
            path = UdpPath(self.port, reads.addresses[0])
            return [Batch(self._reader.buffer, *_split(*columns), path, steered=self.steered)]
        batches: list[Batch] = []
        if not steps or steps[0][0]:
            steps.insert(0, (0, 0))
        for (start, drops), (stop, _) in pairwise([*steps, (len(reads.starts), 0)]):
            piece = tuple(column[start:stop] for column in columns)
            addresses = reads.addresses if len(reads.addresses) == 1 else reads.addresses[start:stop]
            batches += self._by_address(piece, addresses, drops)
        return batches

    def _by_address(self, columns: tuple[NDArray[np.int64], ...], addresses: list[Any], drops: int) -> list[Batch]:
        """`drops` before the first row; one address is that of all rows."""
        places: dict[Any, list[int]] = {}
        for row in range(len(columns[0])):
            places.setdefault(addresses[row % len(addresses)], []).append(row)
        batches: list[Batch] = []
        for address, rows in places.items():
            starts, lengths, segments, arrivals = (column[rows] for column in columns)
            split = _split(starts, lengths, segments, arrivals)
            count, exact = (0, True) if batches else (drops, not drops or not self._aggregates)
            batches.append(Batch(self._reader.buffer, *split, UdpPath(self.port, address), count, exact, self.steered))
        return batches


def _split(
    starts: NDArray[np.int64], lengths: NDArray[np.int64], segments: NDArray[np.int64], arrivals: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """(offsets, lengths, arrival times) of the datagrams in reads of which some are GRO aggregates."""
    if not segments.any():
        return starts, lengths, arrivals
    sizes = np.where(segments > 0, segments, np.maximum(lengths, 1))
    counts = np.maximum(1, -(-lengths // sizes))
    ends = np.cumsum(counts)
    within = np.arange(ends[-1]) - np.repeat(ends - counts, counts)
    size = np.repeat(sizes, counts)
    offsets = np.repeat(starts, counts) + within * size
    rest = np.repeat(lengths, counts) - within * size
    return offsets, np.minimum(size, rest), np.repeat(arrivals, counts)


def _arrival_times(stamps: NDArray[np.int64], offset: int | None) -> NDArray[np.int64]:
    """Monotonic ns of kernel stamps (Unix ns); now where there is none."""
    now = time.monotonic_ns()
    if offset is None:
        return np.full(len(stamps), now, np.int64)
    return np.minimum(np.where(stamps > 0, stamps + offset, now), now)
