"""The sender's UDP sockets: datagrams out in batches, RTCP in, refusals by ICMP told apart by destination.

Each target has sockets of its own: one when all its media share a port, a pair (RTP, RTCP) in the classical layout.
They stay unconnected, because RTCP may come back from another port than media goes to. Receivers that come by
themselves share a pair.

One call can hand over many datagrams (UDP_SEGMENT), but a capture on the sending machine, and on its loopback, then
shows them as one. So that is done where it pays: above some thousand packets a second.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
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
from sender.clients import Clients, Track
from sender.config import SenderConfig, Target
from sender.paths import Channel, Path, Route, TargetPaths
from sender.resolve import SocketAddress, is_multicast, resolve
from sender.sockets import SOL_UDP, UDP_SEGMENT, open_pair, open_socket, segments_supported

_MAX_SEGMENTS = 64  # UDP_MAX_SEGMENTS of older kernels
_MAX_BYTES = 65_000
_MAX_STRAYS = 32  # batches
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
class Unreachable:
    """The network said that nobody listens at the path's address, or that no way leads there."""

    path: Path
    why: str


@dataclass(frozen=True, slots=True)
class PortPair:
    """Two of our sockets."""

    rtp: int
    """key of the socket."""
    rtcp: int
    ports: tuple[int, int]
    family: int


@dataclass(slots=True)
class _Socket:
    key: int
    socket: socket.socket
    target: int | None
    """None: many share it."""
    segments: bool
    paths: dict[tuple[str, int], set[Path]] = field(default_factory=dict)
    """of media and reports, by where they lead."""


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
    """All sockets of a run. Only `wake` and `new_key` may be called from another thread."""

    def __init__(self, config: SenderConfig) -> None:
        """Raises UsageError for what does not exist and ResourceError for what the system refuses."""
        self._config = config
        self._sockets: dict[int, _Socket] = {}
        self._keys, self._socket_keys = itertools.count(), itertools.count()
        self._paths: dict[int, set[Path]] = {}
        """of each target."""
        self._unreachable: dict[Path, str] = {}
        self._rate = _PacketRate()
        self._waker, self._awakened = socket.socketpair()
        self._waker.setblocking(False)
        self._awakened.setblocking(False)
        self._selector = _selector(self._awakened.fileno())
        self._selector.register(self._awakened, selectors.EVENT_READ)
        self._clients = Clients(self._move)
        self.errors: dict[str, int] = {}
        """datagrams that the system did not take, by the name of its error."""
        self.strangers = 0
        """datagrams at shared ports from nobody who is known."""
        self.keeps_strays = False
        """for somebody who may know them all the same."""
        self._strays: list[Batch] = []
        try:
            at_once = [each for each in config.targets if each.url is None and each.encryption == "no"]
            self.targets = tuple(self.open(target) for target in at_once)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close every socket; datagrams handed over before still leave."""
        self._selector.close()
        for opened in (self._waker, self._awakened, *(each.socket for each in self._sockets.values())):
            opened.close()

    def new_key(self) -> int:
        """One that no target has yet."""
        return next(self._keys)

    # Targets with sockets of their own

    def open(self, target: Target) -> TargetPaths:
        """Raises UsageError for what does not exist and ResourceError for what the system refuses."""
        config, key = self._config, self.new_key()
        family_wanted = config.family
        if not family_wanted and config.bind is not None:
            family_wanted = 4 if resolve(config.bind, 0, 0)[0] == socket.AF_INET else 6
        family, address = resolve(target.host, target.port, family_wanted)
        if target.classical and target.port > 65_532:
            raise UsageError(
                f"rtp://{target.host}:{target.port} needs four ports from there on; choose one below 65533"
            )
        name = f"[{target.host}]:{target.port}" if ":" in target.host else f"{target.host}:{target.port}"
        if not target.classical:
            rtp = self._add(open_socket(config, family, address), key)
            path = self._path(key, rtp, address, media=True)
            reports = path if config.rtcp_to is None else self._path(key, rtp, self._rtcp_to(family), media=True)
            both = {"audio": (path, reports), "video": (path, reports)}
            return TargetPaths(key, name, address, is_multicast(address), both)
        rtp, rtcp = (self._add(each, key) for each in open_pair(config, family, address))

        def pair(offset: int) -> tuple[Path, Path]:
            above = (address[0], target.port + offset + 1, *address[2:])
            return (
                self._path(key, rtp, (address[0], target.port + offset, *address[2:]), media=True),
                self._path(key, rtcp, above if config.rtcp_to is None else self._rtcp_to(family), media=False),
            )

        return TargetPaths(
            key, f"rtp://{name}", address, is_multicast(address), {"audio": pair(2), "video": pair(0)}
        )  # fmt: skip

    def release(self, key: int) -> None:
        """Close what a target has, or had at shared ports."""
        self._clients.remove(key)
        for path in self._paths.pop(key, set()):
            self._unlist(path)
        for each in [each for each in self._sockets.values() if each.target == key]:
            self._selector.unregister(each.socket)
            each.socket.close()
            del self._sockets[each.key]

    def _rtcp_to(self, family: int) -> SocketAddress:
        assert self._config.rtcp_to is not None
        return resolve(*self._config.rtcp_to, 4 if family == socket.AF_INET else 6)[1]

    def attach(self, key: int, family: int) -> PortPair:
        """A pair of ports for a track of this target."""
        rtp, rtcp = open_pair(self._config, family, None)
        return self._pair(rtp, rtcp, key, family)

    def lead(self, key: int, ports: PortPair, host: str, theirs: tuple[int, int]) -> tuple[Path, Path]:
        """Where such a track's packets go, and its reports: from our ports to theirs."""
        rtp, rtcp = theirs
        return (
            self._path(key, ports.rtp, (host, rtp), media=True),
            self._path(key, ports.rtcp, (host, rtcp), media=False),
        )

    # Targets that share

    def share(self, host: str | None, family: int, port: int = 0) -> PortPair:
        """A pair of ports for all receivers that come to this address of ours; `port`: the first, 0: any."""
        rtp, rtcp = open_pair(self._config, family, None, host, port)
        return self._pair(rtp, rtcp, None, family)

    def welcome(self, key: int, track: Track) -> None:
        """A receiver at shared ports, or a track more of one."""
        for path in (track.rtp, track.rtcp):
            self._list(path)
        self._clients.add(key, track)

    def follow(self, key: int, to: SocketAddress) -> bool:
        """This target, which has proved itself, sends from somewhere else now: what goes there, does so from now on.
        False where that is nothing new, or nobody can tell what belongs where."""
        paths = self._paths.get(key, set())
        alike = {path for path in paths if path.address[1] == to[1]} or (paths if len(paths) == 1 else set())
        if not alike or all(path.address[:2] == to[:2] for path in alike):
            return False
        with self._clients.moving(key):
            for path in list(paths):
                self._move(path, to if path in alike else (to[0], *path.address[1:]))
        return True

    def take_strays(self) -> list[Batch]:
        """What came to shared ports from nobody who is known, if it is kept."""
        strays, self._strays = self._strays, []
        return strays

    def _move(self, path: Path, to: SocketAddress) -> None:
        self._unlist(path)
        path.address = to
        self._list(path)

    # Sockets

    def _add(self, opened: socket.socket, target: int | None) -> int:
        key = next(self._socket_keys)
        self._sockets[key] = _Socket(key, opened, target, segments_supported(opened))
        self._selector.register(opened, selectors.EVENT_READ, self._sockets[key])
        return key

    def _pair(self, rtp: socket.socket, rtcp: socket.socket, target: int | None, family: int) -> PortPair:
        keys = self._add(rtp, target), self._add(rtcp, target)
        return PortPair(*keys, (rtp.getsockname()[1], rtcp.getsockname()[1]), family)

    def _path(self, target: int, on: int, address: SocketAddress, *, media: bool) -> Path:
        path = Path(target, on, address, media)
        self._list(path)
        return path

    def _list(self, path: Path) -> None:
        self._paths.setdefault(path.target, set()).add(path)
        self._sockets[path.socket].paths.setdefault(path.address[:2], set()).add(path)

    def _unlist(self, path: Path) -> None:
        paths = self._sockets[path.socket].paths
        there = paths.get(path.address[:2], set())
        there.discard(path)
        if not there:
            paths.pop(path.address[:2], None)

    # Out

    def send(self, transmission: Transmission) -> list[bytes]:
        """Hand the datagrams over in their order; returns those that the system, or the connection, did not take."""
        path = transmission.path
        if isinstance(path, Route):
            path = path.via
        if path is None:
            return list(transmission.datagrams)
        if isinstance(path, Channel):
            return list(path.hand_over(path, transmission.datagrams))
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

        Returns (key of the target, what came from it) in batches stamped with monotonic ns.
        """
        ready = self._selector.select(None if timeout is None else max(0, timeout) / 1e9)
        now = time.monotonic_ns()
        batches: list[tuple[int, Batch]] = []
        for key, _ in ready:
            each = key.data
            if each is None:
                _empty(self._awakened)
            else:
                batches += self._receive(each, now)
        return batches

    def wake(self) -> None:
        """End the present or the next `wait`; safe from any thread."""
        with contextlib.suppress(OSError):  # full: awake already; closed: nobody waits
            self._waker.send(b"\0")

    def unreachable(self) -> list[Unreachable]:
        """What has refused since the last call, each path once."""
        found, self._unreachable = self._unreachable, {}
        return [Unreachable(path, why) for path, why in found.items()]

    def _receive(self, each: _Socket, now: int) -> Iterator[tuple[int, Batch]]:
        for source, datagrams in self._read(each):
            key = self._clients.find(each.key, source, datagrams) if each.target is None else each.target
            if key is None:
                self.strangers += len(datagrams)
                if self.keeps_strays and len(self._strays) < _MAX_STRAYS:
                    self._strays.append(Batch.of(datagrams, now, source))
            else:
                yield key, Batch.of(datagrams, now, source)

    def _read(self, each: _Socket) -> Iterator[tuple[SocketAddress, list[bytes]]]:
        """Runs of datagrams that share a sender."""
        pending: list[bytes] = []
        source: SocketAddress | None = None
        for _ in range(_DRAIN):
            try:
                data, address = each.socket.recvfrom(65_536)
            except OSError as error:
                self._read_refusals(each)
                if error.errno in _BUSY:
                    break
                continue
            if source is not None and address != source:
                yield source, pending
                pending = []
            source = address
            pending.append(data)
        if source is not None:
            yield source, pending

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
                    for path in each.paths.get(address[:2], ()):
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
