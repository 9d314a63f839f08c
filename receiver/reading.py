"""Reading what a UDP socket has queued: with one system call for many datagrams where the platform has recvmmsg,
else one by one."""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from receiver.sockets import LINUX, SO_RXQ_OVFL, SO_TIMESTAMPNS, SOL_UDP, UDP_GRO

_LARGEST = 65_536
"""bytes one read may give: a GRO aggregate."""
_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Reads:
    """What was read; arrays of shape (n,), one entry for each datagram or GRO aggregate, in the order of arrival."""

    starts: NDArray[np.int64]
    """in the reader's buffer."""
    lengths: NDArray[np.int64]
    segments: NDArray[np.int64]
    """size of an aggregate's datagrams; 0: a plain datagram."""
    stamps: NDArray[np.int64]
    """the kernel's, Unix ns; 0: none."""
    addresses: list[Any]
    """of each, or of all when it is only one; as the socket module has them."""
    overflows: NDArray[np.int64] | None
    """the kernel's 32-bit count of drops when each was queued; None: all 0."""
    emptied: bool


class Reader(Protocol):
    """Reads one socket into a buffer of its own; what it returns is valid until the next call."""

    buffer: NDArray[np.uint8]

    def read(self) -> Reads | None:
        """None when nothing is queued."""


def open_reader(sock: socket.socket) -> Reader:
    """The quickest that works here."""
    return ManyReader(sock) if _RECVMMSG is not None else PlainReader(sock)


class PlainReader:
    """recvmsg_into, or recvfrom_into where there is none, in a loop."""

    _ROOM = 1 << 20
    _MOST = 512

    def __init__(self, sock: socket.socket) -> None:
        self.buffer = np.empty(self._ROOM, np.uint8)
        self._view = memoryview(self.buffer.data)
        self._socket = sock
        self._with_ancillary = hasattr(sock, "recvmsg_into")

    def read(self) -> Reads | None:
        rows: list[tuple[int, int, int, int, int]] = []
        addresses: list[Any] = []
        at = 0
        emptied = False
        while at <= self._ROOM - _LARGEST and len(rows) < self._MOST:
            try:
                length, ancillary, address = self._receive(self._view[at : at + _LARGEST])
            except OSError:  # nothing more, or an ICMP error of something we sent
                emptied = True
                break
            stamp = segment = overflow = 0
            for level, kind, data in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
                    seconds, nanoseconds = struct.unpack("@ll", data)
                    stamp = seconds * _SECOND + nanoseconds
                elif (level, kind) == (SOL_UDP, UDP_GRO):
                    segment = int.from_bytes(data[:4], sys.byteorder)
                elif (level, kind) == (socket.SOL_SOCKET, SO_RXQ_OVFL):
                    overflow = int.from_bytes(data[:4], sys.byteorder)
            rows.append((at, length, segment, stamp, overflow))
            addresses.append(address)
            at += length
        if not rows:
            return None
        table = np.array(rows, np.int64)
        if addresses.count(addresses[0]) == len(addresses):
            del addresses[1:]
        overflows = table[:, 4] if table[:, 4].any() else None
        return Reads(table[:, 0], table[:, 1], table[:, 2], table[:, 3], addresses, overflows, emptied)

    def _receive(self, into: memoryview) -> tuple[int, list[tuple[int, int, bytes]], Any]:
        if self._with_ancillary:
            length, ancillary, _, address = self._socket.recvmsg_into((into,), 128)
            return length, ancillary, address
        length, address = self._socket.recvfrom_into(into)
        return length, [], address


# struct mmsghdr, iovec and cmsghdr of 64-bit Linux.
_MESSAGE = np.dtype(
    {
        "names": ["name", "name_size", "iov", "iov_count", "control", "control_size", "flags", "length"],
        "formats": [np.uint64, np.uint32, np.uint64, np.uint64, np.uint64, np.uint64, np.int32, np.uint32],
        "offsets": [0, 8, 16, 24, 32, 40, 48, 56],
        "itemsize": 64,
    }
)
_MSG_DONTWAIT = 0x40
_NAME, _CONTROL = 32, 128
_STAMP_SPACE, _INT_SPACE = 32, 24
"""CMSG_SPACE of a timespec and of an int."""


def _key(level: int, kind: int) -> int:
    """The second word of a cmsghdr."""
    return int.from_bytes(struct.pack("=ii", level, kind), sys.byteorder)


_STAMP_KEY, _OVERFLOW_KEY, _GRO_KEY = (
    _key(socket.SOL_SOCKET, SO_TIMESTAMPNS),
    _key(socket.SOL_SOCKET, SO_RXQ_OVFL),
    _key(SOL_UDP, UDP_GRO),
)


def _recvmmsg() -> Any:
    if not LINUX or struct.calcsize("P") != 8:
        return None
    try:
        function = ctypes.CDLL(None, use_errno=True).recvmmsg
    except (OSError, AttributeError):
        return None
    function.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p]
    return function


_RECVMMSG = _recvmmsg()


class ManyReader:
    """recvmmsg into memory that NumPy reads: no Python for a single datagram.

    Each datagram lands in a small slot, side by side with its neighbours; one that is longer (an aggregate) goes on
    in a large one that has room before it for the beginning, which is then moved there.
    """

    _MOST = 256
    _SMALL = 2048
    _STRIDE = _LARGEST + 4096 + 64  # no power of two, or all large slots would share the same cache lines

    def __init__(self, sock: socket.socket) -> None:
        most, small = self._MOST, self._SMALL
        self.buffer = np.empty(most * (small + self._STRIDE), np.uint8)  # only what is used becomes memory
        self._file = sock.fileno()
        rows = np.arange(most, dtype=np.int64)
        self._slots = rows * small
        self._large = most * small + rows * self._STRIDE
        self._beginnings = self.buffer[: most * small].reshape(most, small)
        self._rooms = self.buffer[most * small :].reshape(most, self._STRIDE)[:, :small]
        self._names = np.zeros((most, _NAME), np.uint8)
        self._control = np.zeros((most, _CONTROL // 8), np.uint64)
        self._pieces = np.zeros((most, 2, 2), np.uint64)
        base = self.buffer.ctypes.data
        self._pieces[:, 0, 0], self._pieces[:, 0, 1] = base + self._slots, small
        self._pieces[:, 1, 0], self._pieces[:, 1, 1] = base + self._large + small, _LARGEST - small
        self._messages = np.zeros(most, _MESSAGE)
        for field, array in (("name", self._names), ("iov", self._pieces), ("control", self._control)):
            self._messages[field] = array.ctypes.data + rows * array.strides[0]
        self._messages["iov_count"] = 2
        self._address = self._messages.ctypes.data
        self._name_sizes, self._control_sizes = self._messages["name_size"], self._messages["control_size"]
        self._lengths = self._messages["length"]
        self._used = most
        self._known: dict[bytes, Any] = {}

    def read(self) -> Reads | None:
        self._name_sizes[: self._used] = _NAME
        self._control_sizes[: self._used] = _CONTROL
        n = _RECVMMSG(self._file, self._address, self._MOST, _MSG_DONTWAIT, None)
        self._used = max(0, n)
        if n <= 0:
            return None
        lengths = self._lengths[:n].astype(np.int64)
        starts = self._slots[:n].copy()
        long = np.flatnonzero(lengths > self._SMALL)
        if len(long):
            self._rooms[long] = self._beginnings[long]
            starts[long] = self._large[long]
        stamps, segments, overflows = self._ancillary(n)
        return Reads(starts, lengths, segments, stamps, self._addresses(n), overflows, n < self._MOST)

    def _ancillary(self, n: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64] | None]:
        """(stamps, segment sizes, overflow counts). The kernel writes the stamp first, then what else there is."""
        control, sizes = self._control[:n], self._control_sizes[:n]
        stamps, segments = np.zeros(n, np.int64), np.zeros(n, np.int64)
        at = 0
        if int(control[0, 1]) == _STAMP_KEY and int(sizes[0]) >= _STAMP_SPACE:
            words = control[:, 2:4].view(np.int64)
            stamps = words[:, 0] * _SECOND + words[:, 1]
            at = _STAMP_SPACE
        overflows = None
        longest = int(sizes.max())
        while at + _INT_SPACE <= longest:
            there = sizes >= at + _INT_SPACE
            keys = control[:, at // 8 + 1]
            values = control.view(np.uint32)[:, at // 4 + 4]
            aggregate = there & (keys == _GRO_KEY)
            segments[aggregate] = values[aggregate]
            dropped = there & (keys == _OVERFLOW_KEY)
            if dropped.any():
                overflows = np.where(dropped, values, 0 if overflows is None else overflows).astype(np.int64)
            at += _INT_SPACE
        return stamps, segments, overflows

    def _addresses(self, n: int) -> list[Any]:
        names = self._names[:n, : int(self._name_sizes[0])]
        if n == 1 or bool((names[1:] == names[0]).all()):
            return [self._known_address(names[0].tobytes())]
        return [self._known_address(name.tobytes()) for name in names]

    def _known_address(self, name: bytes) -> Any:
        address = self._known.get(name)
        if address is None:
            if len(self._known) >= 1024:
                self._known.clear()
            address = self._known[name] = _socket_address(name)
        return address


def _socket_address(name: bytes) -> Any:
    """A sockaddr_in or sockaddr_in6 as the socket module has it."""
    port = int.from_bytes(name[2:4], "big")
    if int.from_bytes(name[:2], sys.byteorder) == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, name[4:8]), port
    flow, scope = int.from_bytes(name[4:8], "big"), int.from_bytes(name[24:28], sys.byteorder)
    return socket.inet_ntop(socket.AF_INET6, name[8:24]), port, flow, scope
