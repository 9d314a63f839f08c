"""The receiver's UDP sockets: datagrams in batches with arrival stamps and drop counts, and answers back."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Sequence
from itertools import pairwise
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from protocol.datagram import Batch, Transmission
from protocol.errors import UsageError
from protocol.serial import difference
from receiver.config import Listen
from receiver.reading import Reads, open_reader
from receiver.sockets import (
    RECEIVE_BUFFER,
    aggregates,
    kernel_drops,
    open_socket,
    receive_buffer_size,
)

_MILLISECOND = 1_000_000
_BUSY = 8.0
"""datagrams a millisecond from which on reads wait for a batch to form."""
_SMOOTHING = 20 * _MILLISECOND
_STEPPED = 5 * _MILLISECOND
_ASK = 100 * _MILLISECOND
"""between looks at the kernel's count of drops after which nothing came."""


class UdpPath(NamedTuple):
    """Where datagrams came from: the path of their batch, and of the answers."""

    port: int
    """ours."""
    address: tuple[Any, ...]
    """theirs, as the socket module has it."""

    def __str__(self) -> str:
        host = str(self.address[0]).removeprefix("::ffff:")
        return f"[{host}]:{self.address[1]}" if ":" in host else f"{host}:{self.address[1]}"


class Transport:
    """One set of sockets that are read together. Only `wake` may be called from another thread."""

    def __init__(self, sockets: Sequence[socket.socket]) -> None:
        self._sockets = {sock.getsockname()[1]: sock for sock in sockets}
        self._ports = {sock: port for port, sock in self._sockets.items()}
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        self._readers = {port: open_reader(sock) for port, sock in self._sockets.items()}
        self._overflows = dict.fromkeys(self._sockets, 0)
        self._aggregates = {port: aggregates(sock) for port, sock in self._sockets.items()}
        self._addresses: dict[int, Any] = dict.fromkeys(self._sockets, ("", 0))
        self._asked = 0
        self._wall_offset = time.monotonic_ns() - time.time_ns()
        self._rate = 0.0
        self._read_time = time.monotonic_ns()
        self._emptied = True
        self.not_sent = 0
        """datagrams the kernel did not take."""

    @property
    def ports(self) -> tuple[int, ...]:
        """Our ports, in the order they were asked for."""
        return tuple(self._sockets)

    @property
    def receive_buffer(self) -> int:
        """Bytes the kernel gives each socket to queue datagrams."""
        return min(receive_buffer_size(sock) for sock in self._sockets.values())

    def kernel_drops_total(self) -> int | None:
        """Datagrams (with GRO: at least) the kernel dropped so far because a queue was full; None where unknown.

        Those after the last datagram that was queued are known here at once, in an empty `Batch` a moment later.
        """
        counts = [kernel_drops(sock) for sock in self._sockets.values()]
        return None if None in counts else sum(count for count in counts if count is not None)

    # In

    def receive(self, deadline: int | None = None) -> list[Batch]:
        """Wait for datagrams, `wake` or the deadline (monotonic ns; None: none), then read what is there.

        One batch for each path, datagrams in the order of arrival; they are valid until the next call. Where the
        kernel dropped some, another batch begins, and an empty one tells of drops after which nothing came. While
        many datagrams come, the call waits up to 1 ms even though some are there, so that reading them is worth it.
        """
        self._let_batch_form(deadline)
        wait = None if deadline is None else max(0, deadline - time.monotonic_ns()) / 1e9
        ready = select.select([self._wake_reader, *self._ports], [], [], wait)[0]
        if self._wake_reader in ready:
            ready.remove(self._wake_reader)
            self._forget_wakes()
        now = time.monotonic_ns()
        if now - self._asked >= _ASK or (deadline is not None and deadline <= now and not ready):
            self._asked = now
            return self._drain_and_ask()
        return self._drain([self._ports[sock] for sock in ready]) if ready else []

    def wake(self) -> None:
        """Make `receive` return soon."""
        try:
            self._wake_writer.send(b"\0")
        except (BlockingIOError, OSError):  # enough wakes are waiting, or it is closed
            return

    def _forget_wakes(self) -> None:
        try:
            while self._wake_reader.recv(4096):
                pass
        except BlockingIOError:
            return

    def _let_batch_form(self, deadline: int | None) -> None:
        if self._rate < _BUSY or not self._emptied:
            return
        now = time.monotonic_ns()
        until = self._read_time + _MILLISECOND
        if deadline is not None:
            until = min(until, deadline)
        if until > now:
            time.sleep((until - now) / 1e9)

    def _drain(self, ports: list[int]) -> list[Batch]:
        batches: list[Batch] = []
        offset = self._monotonic_offset()
        self._emptied = True
        for port in ports:
            reads = self._readers[port].read()
            if reads is not None:
                self._emptied &= reads.emptied
                batches += self._batches(port, reads, offset)
        self._learn_rate(sum(len(batch) for batch in batches))
        return batches

    def _drain_and_ask(self) -> list[Batch]:
        """Reads all ports; the kernel's own count, taken before, then shows what it dropped after the last datagram."""
        counts = {port: kernel_drops(sock) for port, sock in self._sockets.items()}
        batches = self._drain(list(self._sockets))
        for port, count in counts.items():
            step = 0 if count is None else difference(count, self._overflows[port], 32)
            if step > 0 and self._emptied:
                self._overflows[port] += step
                nothing = np.zeros(0, np.int64)
                path, exact = UdpPath(port, self._addresses[port]), not self._aggregates[port]
                batches.append(Batch(self._readers[port].buffer, nothing, nothing, nothing, path, step, exact))
        return batches

    def _steps(self, port: int, overflows: NDArray[np.int64] | None) -> list[tuple[int, int]]:
        """(row, datagrams dropped just before it): the steps of the kernel's 32-bit count."""
        if overflows is None:
            return []
        before, steps = self._overflows[port], []
        changes = np.flatnonzero(np.diff(overflows, prepend=before & 0xFFFF_FFFF))
        for row, count in zip(changes.tolist(), overflows[changes].tolist(), strict=True):
            step = difference(count, before & 0xFFFF_FFFF, 32)
            if step > 0:
                steps.append((row, step))
                before += step
        self._overflows[port] = before
        return steps

    def _batches(self, port: int, reads: Reads, offset: int | None) -> list[Batch]:
        """Another batch begins at each step of the kernel's count, and for each address."""
        columns = reads.starts, reads.lengths, reads.segments, _arrival_times(reads.stamps, offset)
        self._addresses[port] = reads.addresses[-1]
        steps = self._steps(port, reads.overflows)
        if not steps and len(reads.addresses) == 1:
            return [Batch(self._readers[port].buffer, *_split(*columns), UdpPath(port, reads.addresses[0]))]
        batches: list[Batch] = []
        if not steps or steps[0][0]:
            steps.insert(0, (0, 0))
        for (start, drops), (stop, _) in pairwise([*steps, (len(reads.starts), 0)]):
            piece = tuple(column[start:stop] for column in columns)
            addresses = reads.addresses if len(reads.addresses) == 1 else reads.addresses[start:stop]
            batches += self._by_address(port, piece, addresses, drops)
        return batches

    def _by_address(
        self, port: int, columns: tuple[NDArray[np.int64], ...], addresses: list[Any], drops: int
    ) -> list[Batch]:
        """`drops` before the first row; one address is that of all rows."""
        places: dict[Any, list[int]] = {}
        for row in range(len(columns[0])):
            places.setdefault(addresses[row % len(addresses)], []).append(row)
        batches: list[Batch] = []
        for address, rows in places.items():
            starts, lengths, segments, arrivals = (column[rows] for column in columns)
            split = _split(starts, lengths, segments, arrivals)
            count, exact = (0, True) if batches else (drops, not drops or not self._aggregates[port])
            batches.append(Batch(self._readers[port].buffer, *split, UdpPath(port, address), count, exact))
        return batches

    def _monotonic_offset(self) -> int | None:
        """Monotonic minus wall clock in ns; None just after somebody set the wall clock: its stamps mean nothing."""
        before, wall, after = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        offset = (before + after) // 2 - wall
        if after - before > _STEPPED:  # interrupted between the readings
            return self._wall_offset
        stepped = abs(offset - self._wall_offset) > _STEPPED
        self._wall_offset = offset
        return None if stepped else offset

    def _learn_rate(self, count: int) -> None:
        now = time.monotonic_ns()
        elapsed = max(1, now - self._read_time)
        self._rate += (count * _MILLISECOND / elapsed - self._rate) * min(1.0, elapsed / _SMOOTHING)
        self._read_time = now

    # Out

    def send(self, transmission: Transmission) -> int:
        """Send now; returns how many datagrams the kernel took. The others are counted in `not_sent`."""
        path = transmission.path
        assert isinstance(path, UdpPath)
        sent = 0
        for datagram in transmission.datagrams:
            try:
                self._sockets[path.port].sendto(datagram, path.address)
                sent += 1
            except OSError:
                self.not_sent += 1
        return sent

    def path_to(self, host: str, port: int, local_port: int | None = None) -> UdpPath:
        """The path to a named place from one of our ports (the first by default). Raises UsageError."""
        local = self.ports[0] if local_port is None else local_port
        family = self._sockets[local].family
        flags = socket.AI_V4MAPPED if family == socket.AF_INET6 else 0
        try:
            found = socket.getaddrinfo(host, port, family, socket.SOCK_DGRAM, 0, flags)
        except (socket.gaierror, UnicodeError) as error:
            raise UsageError(f"no address found for {host}; give an address or a name that resolves") from error
        return UdpPath(local, found[0][4])

    def close(self) -> None:
        for sock in (*self._sockets.values(), self._wake_reader, self._wake_writer):
            sock.close()

    def __enter__(self) -> Transport:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_transport(
    listen: Listen, *, bind: str | None = None, interface: str | None = None, family: int = 0, gro: bool = True
) -> Transport:
    """Sockets on all of `listen.ports`. `bind` is the address where `listen` names none; `family` 4, 6, or 0 for both.

    Raises UsageError or ResourceError with one line that says what to do.
    """
    sockets: list[socket.socket] = []
    try:
        for port in listen.ports:
            host = listen.host if listen.host is not None else bind
            sockets.append(open_socket(host, port, interface=interface, family=family, gro=gro))
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    return Transport(sockets)


def buffer_warning(transport: Transport) -> str | None:
    """One line when the kernel gives less than was asked for."""
    if transport.receive_buffer >= RECEIVE_BUFFER:
        return None
    given = transport.receive_buffer // 1000
    wanted = RECEIVE_BUFFER // 1000
    return f"receive buffer of {given} kB instead of {wanted}: raise net.core.rmem_max, or bursts get lost here"


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
