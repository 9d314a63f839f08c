"""The sender's UDP sockets: datagrams out in batches, RTCP in, refusals by ICMP told apart by destination.

Each target has sockets of its own: one when all its media share a port, a pair (RTP, RTCP) in the classical layout.
They stay unconnected, because RTCP may come back from another port than media goes to.

One call can hand over many datagrams (UDP_SEGMENT), but a capture on the sending machine, and on its loopback, then
shows them as one. So that is done where it pays: above some thousand packets a second.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import selectors
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from protocol.datagram import Batch, Transmission
from protocol.errors import UsageError
from sender.config import SenderConfig, Target
from sender.resolve import SocketAddress, is_multicast, resolve
from sender.sockets import SOL_UDP, UDP_SEGMENT, open_pair, open_socket, segments_supported

_MAX_SEGMENTS = 64  # UDP_MAX_SEGMENTS of older kernels
_MAX_BYTES = 65_000
_DRAIN = 64  # datagrams read from a socket before media gets its turn again
_ATTEMPTS = 4
_WINDOW = 100_000_000  # ns over which the packet rate is taken
_BATCH_RATE = 4000  # packets a second from which on single calls cost more than they show
_BUSY_WAIT_MS = 2
_SELECT_LIMIT = 900  # descriptors; select(2) takes 1024, and the sockets are opened after the first one watched
_MSG_ERRQUEUE = 0x2000
_EXTENDED_ERROR = struct.Struct("=IBBBBII")  # struct sock_extended_err
_UNREACHABLE = frozenset({errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH})
_BUSY = frozenset({errno.EAGAIN, errno.ENOBUFS})
_NO_SEGMENTS = frozenset({errno.EIO, errno.EINVAL, errno.EMSGSIZE, errno.EOPNOTSUPP, errno.ENOPROTOOPT})


@dataclass(frozen=True, slots=True)
class Path:
    """Where datagrams of one kind go; opaque to sessions."""

    target: int
    """index in SenderConfig.targets."""
    socket: int
    """index among the transport's sockets."""
    address: SocketAddress
    media: bool
    """RTP goes there, not RTCP alone."""


@dataclass(frozen=True, slots=True)
class TargetPaths:
    """One target, resolved."""

    name: str
    address: SocketAddress
    multicast: bool
    audio: Path
    audio_rtcp: Path
    video: Path
    video_rtcp: Path

    def comes_from(self, address: object) -> bool:
        """Whether datagrams from this socket address are of who media goes to; of a group, anybody may be."""
        anybody = self.multicast or self.address[0] in ("0.0.0.0", "::")
        return anybody or (isinstance(address, tuple) and address[0] == self.address[0])

    def rtp(self, media: str) -> Path:
        """Where packets of "audio" or "video" go."""
        return self.audio if media == "audio" else self.video

    def rtcp(self, media: str) -> Path:
        """Where reports about them go."""
        return self.audio_rtcp if media == "audio" else self.video_rtcp


@dataclass(frozen=True, slots=True)
class Unreachable:
    """The network said that nobody listens at the path's address, or that no way leads there."""

    path: Path
    why: str


@dataclass(slots=True)
class _Socket:
    socket: socket.socket
    target: int
    segments: bool
    paths: list[Path] = field(default_factory=list)


class _PacketRate:
    """Whether the window before this one was a busy one."""

    def __init__(self) -> None:
        self._start = self._count = 0
        self._high = False

    def high(self, packets: int, now: int) -> bool:
        """Count these packets, at monotonic ns."""
        elapsed = now - self._start
        if elapsed >= _WINDOW:
            self._high = self._count * 1_000_000_000 > _BATCH_RATE * elapsed
            self._start, self._count = now, 0
        self._count += packets
        return self._high


class Transport:
    """All sockets of a run. Only `wake` may be called from another thread."""

    def __init__(self, config: SenderConfig) -> None:
        """Raises UsageError for what does not exist and ResourceError for what the system refuses."""
        self._config = config
        self._sockets: list[_Socket] = []
        self._unreachable: dict[Path, str] = {}
        self._rate = _PacketRate()
        self._waker, self._awakened = socket.socketpair()
        self._waker.setblocking(False)
        self._awakened.setblocking(False)
        self._selector = _selector(self._awakened.fileno())
        self._selector.register(self._awakened, selectors.EVENT_READ)
        self.errors: dict[str, int] = {}
        """datagrams that the system did not take, by the name of its error."""
        try:
            self.targets = tuple(self._open(index, target) for index, target in enumerate(config.targets))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close every socket; datagrams handed over before still leave."""
        self._selector.close()
        for opened in (self._waker, self._awakened, *(each.socket for each in self._sockets)):
            opened.close()

    def _open(self, index: int, target: Target) -> TargetPaths:
        config = self._config
        family_wanted = config.family
        if not family_wanted and config.bind is not None:
            family_wanted = 4 if resolve(config.bind, 0, 0)[0] == socket.AF_INET else 6
        family, address = resolve(target.host, target.port, family_wanted)
        if target.classical and target.port > 65_532:
            raise UsageError(
                f"rtp://{target.host}:{target.port} needs four ports from there on; choose one below 65533"
            )
        if target.classical:
            rtp, rtcp = (self._add(each, index) for each in open_pair(config, family, address))
        else:
            rtp = rtcp = self._add(open_socket(config, family, address), index)

        def path(on: int, offset: int, media: bool) -> Path:
            port = target.port + (offset if target.classical else 0)
            to = (address[0], port, *address[2:])
            if not media and config.rtcp_to is not None:
                to = resolve(*config.rtcp_to, 4 if family == socket.AF_INET else 6)[1]
            made = Path(index, on, to, media or not target.classical)
            if made not in self._sockets[on].paths:
                self._sockets[on].paths.append(made)
            return made

        name = f"[{target.host}]:{target.port}" if ":" in target.host else f"{target.host}:{target.port}"
        return TargetPaths(
            f"rtp://{name}" if target.classical else name, address, is_multicast(address),
            audio=path(rtp, 2, True), audio_rtcp=path(rtcp, 3, False),
            video=path(rtp, 0, True), video_rtcp=path(rtcp, 1, False),
        )  # fmt: skip

    def _add(self, opened: socket.socket, target: int) -> int:
        self._sockets.append(_Socket(opened, target, segments_supported(opened)))
        self._selector.register(opened, selectors.EVENT_READ, self._sockets[-1])
        return len(self._sockets) - 1

    # Out

    def send(self, transmission: Transmission) -> list[bytes]:
        """Hand the datagrams over in their order; returns those that the system did not take."""
        path = transmission.path
        assert isinstance(path, Path)
        each = self._sockets[path.socket]
        batched = self._rate.high(len(transmission.datagrams), time.monotonic_ns()) and each.segments
        unsent: list[bytes] = []
        for run in _runs(transmission.datagrams, _MAX_SEGMENTS if batched else 1):
            unsent += self._hand_over(each, run, path)
        return unsent

    def _hand_over(self, each: _Socket, run: Sequence[bytes], path: Path) -> Sequence[bytes]:
        """One system call for a run of equal sizes; returns what was not taken."""
        segments = [(SOL_UDP, UDP_SEGMENT, struct.pack("=H", len(run[0])))] if len(run) > 1 else []
        number = 0
        for _ in range(_ATTEMPTS):
            try:
                each.socket.sendmsg(run, segments, 0, path.address)
                return ()
            except OSError as error:
                number = error.errno or 0
            if number == errno.ECONNREFUSED:
                self._read_refusals(each)  # it answers an earlier datagram: this one has not been tried
            elif number in _BUSY:
                _wait_writable(each.socket)
            elif segments and number in _NO_SEGMENTS:
                each.segments = False
                return [datagram for one in run for datagram in self._hand_over(each, [one], path)]
            else:
                break
        name = errno.errorcode.get(number, str(number))
        self.errors[name] = self.errors.get(name, 0) + len(run)
        if number in _UNREACHABLE:
            self._unreachable[path] = os.strerror(number)
        return run

    # In

    def wait(self, timeout: int | None) -> list[tuple[int, Batch]]:
        """Sleep until a datagram comes, `wake` is called or `timeout` ns pass (None: no limit).

        Returns (index of the target, what came from it) in batches stamped with monotonic ns.
        """
        ready = self._selector.select(None if timeout is None else max(0, timeout) / 1e9)
        now = time.monotonic_ns()
        batches = []
        for key, _ in ready:
            each = key.data
            if each is None:
                _empty(self._awakened)
            else:
                batches += [(each.target, batch) for batch in self._receive(each, now)]
        return batches

    def wake(self) -> None:
        """End the present or the next `wait`; safe from any thread."""
        with contextlib.suppress(OSError):  # full: awake already; closed: nobody waits
            self._waker.send(b"\0")

    def unreachable(self) -> list[Unreachable]:
        """What has refused since the last call, each path once."""
        found, self._unreachable = self._unreachable, {}
        return [Unreachable(path, why) for path, why in found.items()]

    def _receive(self, each: _Socket, now: int) -> Iterator[Batch]:
        """Batches of datagrams that share a sender."""
        pending: list[bytes] = []
        source: SocketAddress | None = None
        for _ in range(_DRAIN):
            try:
                data, address = each.socket.recvfrom(65_536)
            except OSError as error:
                if error.errno in _BUSY:
                    self._read_refusals(each)
                    break
                self._read_refusals(each)
                continue
            if address != source and pending:
                yield Batch.of(pending, now, source)
                pending = []
            source = address
            pending.append(data)
        if pending:
            yield Batch.of(pending, now, source)

    def _read_refusals(self, each: _Socket) -> None:
        """Empty the socket's error queue: each entry carries the address that was tried (ip(7), IP_RECVERR)."""
        for _ in range(_DRAIN):
            try:
                _, ancillary, _, address = each.socket.recvmsg(1, 256, _MSG_ERRQUEUE)
            except OSError:
                return
            for _, _, data in ancillary:
                if len(data) < _EXTENDED_ERROR.size:
                    continue
                number = _EXTENDED_ERROR.unpack_from(data)[0]
                if number in _UNREACHABLE:
                    for path in each.paths:
                        if path.address[:2] == address[:2]:
                            self._unreachable[path] = os.strerror(number)


def _runs(datagrams: Sequence[bytes], limit: int) -> Iterator[list[bytes]]:
    """Consecutive datagrams of one size, the last may be shorter: what one call with UDP_SEGMENT can carry."""
    run: list[bytes] = []
    total = 0
    for datagram in datagrams:
        size = len(datagram)
        if run and (len(run) == limit or size > len(run[0]) or len(run[-1]) < len(run[0]) or total + size > _MAX_BYTES):
            yield run
            run, total = [], 0
        run.append(datagram)
        total += size
    if run:
        yield run


def _selector(descriptor: int) -> selectors.BaseSelector:
    """`select` sleeps to the microsecond, epoll to the millisecond: too coarse for pacing. But `select` knows only the
    first descriptors of a process; `descriptor` is one of those to be watched."""
    return selectors.SelectSelector() if descriptor < _SELECT_LIMIT else selectors.DefaultSelector()


def _wait_writable(opened: socket.socket) -> None:
    """Give the send queue a moment; poll, because a descriptor may lie beyond select's limit."""
    poll = select.poll()
    poll.register(opened, select.POLLOUT)
    poll.poll(_BUSY_WAIT_MS)


def _empty(opened: socket.socket) -> None:
    try:
        while opened.recv(4096):
            pass
    except OSError:
        return
