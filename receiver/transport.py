"""The receiver's ways in: datagrams of UDP sockets, and packets of TCP connections as if they were, in batches with
arrival stamps and drop counts; and answers back."""

from __future__ import annotations

import socket
import time
from collections.abc import Collection, Iterable, Sequence
from types import TracebackType

from protocol.datagram import Batch, Transmission
from protocol.errors import ResourceError, UsageError
from receiver.config import Listen
from receiver.lanes import Lanes
from receiver.queue import Queue
from receiver.queue import UdpPath as UdpPath
from receiver.sockets import RECEIVE_BUFFER, open_socket, receive_buffer_size
from receiver.steering import Port
from receiver.waiting import readable

_MILLISECOND = 1_000_000
_BUSY = 8.0
"""datagrams a millisecond from which on reads wait for a batch to form."""
_SMOOTHING = 20 * _MILLISECOND
_STEPPED = 5 * _MILLISECOND
_PATIENCE = 1
"""how much longer strangers wait than handling what came of them took: a flood gets half of a core."""
_ASK = 100 * _MILLISECOND
"""between looks at the kernel's count of drops after which nothing came."""


class Transport:
    """Sockets that are read together, and lanes beside them. Only `wake` and `lanes` are for other threads, too."""

    def __init__(self, sockets: Sequence[socket.socket]) -> None:
        self._ports = {port.number: port for port in map(Port, sockets)}
        self.lanes = Lanes(self._ports, self.wake)
        self._dropped_before = 0
        """by the kernel, in queues of sockets that are closed."""
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        self._asked = 0
        self._wall_offset = time.monotonic_ns() - time.time_ns()
        self._rate = 0.0
        self._read_time = time.monotonic_ns()
        self._emptied = True
        self._strangers = False
        """datagrams of strangers were read last, and more wait, on a port where known senders have their own queues."""
        self._strangers_from = 0
        """when such are read again, monotonic ns."""
        self.not_sent = 0
        """datagrams the kernel did not take."""

    @property
    def ports(self) -> tuple[int, ...]:
        """Our ports, in the order they were asked for."""
        return tuple(self._ports)

    @property
    def receive_buffer(self) -> int:
        """Bytes the kernel gives each socket to queue datagrams; what was asked for where there is none."""
        return min((receive_buffer_size(queue.socket) for queue in self._queues()), default=RECEIVE_BUFFER)

    def kernel_drops_total(self) -> int | None:
        """Datagrams (with GRO: at least) dropped so far because a queue was full, the kernel's or a lane's; None where
        unknown.

        Those after the last datagram that was queued are known here at once, in an empty `Batch` a moment later.
        """
        counts = [queue.kernel_drops() for queue in self._queues()]
        before = self._dropped_before + self.lanes.dropped
        return None if None in counts else sum((count for count in counts if count is not None), before)

    def _queues(self) -> list[Queue]:
        return [queue for port in self._ports.values() for queue in port.queues]

    # What comes and goes

    def add(self, sock: socket.socket) -> None:
        """One more bound socket (`receiver.sockets.open_socket`), from now on. Raises ResourceError."""
        port = Port(sock)
        if port.number in self._ports or port.number in self.lanes:
            raise ResourceError(f"UDP port {port.number} is in use here: give another")
        self._ports[port.number] = port

    def remove(self, number: int) -> None:
        """Closes the socket of one of our ports, and what it had queued is gone; harmless when it is closed."""
        if (port := self._ports.pop(number, None)) is not None:
            self._dropped_before += sum(queue.kernel_drops() or 0 for queue in port.queues)
            port.close()

    # In

    def steer(self, known: Collection[UdpPath]) -> None:
        """From now on what comes along these paths is read first, and a flood along others cannot fill their queues.
        Where the platform cannot do that, nothing changes."""
        for port in self._ports.values():
            port.steer({path for path in known if path.port == port.number})

    def receive(self, deadline: int | None = None) -> list[Batch]:
        """Wait for datagrams, `wake` or the deadline (monotonic ns; None: none), then read what is there.

        One batch for each path, datagrams in the order of arrival; they are valid until the next call. Where the
        kernel dropped some, another batch begins, and an empty one tells of drops after which nothing came. While
        many datagrams come, the call waits up to 1 ms even though some are there, so that reading them is worth it.
        """
        self._let_batch_form(deadline)
        now = time.monotonic_ns()
        if self._strangers:
            self._strangers_from = now + _PATIENCE * (now - self._read_time)
        strangers = now >= self._strangers_from
        if not strangers:
            deadline = self._strangers_from if deadline is None else min(deadline, self._strangers_from)
        wanted = {queue.socket: port for port in self._ports.values() for queue in port.readable(strangers=strangers)}
        wait = None if deadline is None else max(0, deadline - now) / 1e9
        ready = readable([self._wake_reader, *wanted], wait)
        if self._wake_reader in ready:
            ready.remove(self._wake_reader)
            self._forget_wakes()
        now = time.monotonic_ns()
        ask = now - self._asked >= _ASK or (deadline is not None and deadline <= now and not ready)
        if ask:
            self._asked = now
        ports = self._ports.values() if ask else dict.fromkeys(wanted[sock] for sock in ready)
        return self._drain(ports, strangers=strangers, ask=ask)

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

    def _drain(self, ports: Iterable[Port], *, strangers: bool, ask: bool) -> list[Batch]:
        """`ask` the kernel what it dropped after the last datagram, too."""
        batches: list[Batch] = []
        offset = self._monotonic_offset()
        self._emptied, self._strangers = True, False
        for port in ports:
            for queue in port.reading(strangers=strangers):
                batches += queue.read(offset, ask=ask)
                self._emptied &= queue.emptied
                self._strangers |= port.is_shared and not queue.steered and not queue.emptied
        self._learn_rate(sum(len(batch) for batch in batches))
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
        sent, port = 0, self._ports.get(path.port)
        if port is None:
            sent = len(transmission.datagrams) if self.lanes.send(path, transmission.datagrams) else 0
            self.not_sent += len(transmission.datagrams) - sent
            return sent
        for datagram in transmission.datagrams:
            try:
                port.socket.sendto(datagram, path.address)
                sent += 1
            except OSError:
                self.not_sent += 1
        return sent

    def path_to(self, host: str, port: int, local_port: int | None = None) -> UdpPath:
        """The path to a named place from one of our ports (the first by default). Raises UsageError."""
        local = self.ports[0] if local_port is None else local_port
        family = self._ports[local].socket.family
        flags = socket.AI_V4MAPPED if family == socket.AF_INET6 else 0
        try:
            found = socket.getaddrinfo(host, port, family, socket.SOCK_DGRAM, 0, flags)
        except (socket.gaierror, UnicodeError) as error:
            raise UsageError(f"no address found for {host}; give an address or a name that resolves") from error
        return UdpPath(local, found[0][4])

    def close(self) -> None:
        for port in self._ports.values():
            port.close()
        self._wake_reader.close()
        self._wake_writer.close()

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
