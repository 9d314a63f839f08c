"""Datagrams on their way between a socket and a session: batches, never one by one."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Batch:
    """Datagrams that came along one path and are handled together, in the order of their arrival.

    `buffer` belongs to the transport and is valid only during the call it is handed to: copy what must stay.
    """

    buffer: NDArray[np.uint8]
    """shape (bytes,), all datagrams somewhere inside."""
    offsets: NDArray[np.int64]
    """shape (n,), where each datagram begins in `buffer`."""
    lengths: NDArray[np.int64]
    """shape (n,), bytes of each datagram."""
    arrival_times: NDArray[np.int64]
    """shape (n,), monotonic ns; one kernel stamp stands for all datagrams of a GRO aggregate."""
    path: Hashable
    """Where they came from, opaque to sessions: answers go back along it."""
    kernel_drops: int = 0
    """Datagrams this machine's kernel dropped from the same receive queue just before the first of these; none of these
    where an empty batch tells of drops after which nothing came."""
    drops_exact: bool = True
    """False: the kernel may have counted aggregates (UDP_GRO), each of at least one datagram."""
    steered: bool = False
    """They came through a receive queue of their path alone."""
    authentic: bool = False
    """Each of them, decrypted by now, is from who has the key, and came no second time."""

    def __len__(self) -> int:
        return len(self.offsets)

    def datagram(self, index: int) -> bytes:
        """A copy of one datagram."""
        start = int(self.offsets[index])
        return self.buffer[start : start + int(self.lengths[index])].tobytes()

    @classmethod
    def of(cls, datagrams: Sequence[bytes], arrival_time: int, path: Hashable = None) -> Batch:
        """A batch of separate datagrams that arrived at one moment (monotonic ns)."""
        lengths = np.array([len(d) for d in datagrams], np.int64)
        return cls(
            np.frombuffer(b"".join(datagrams), np.uint8),
            np.cumsum(lengths) - lengths,
            lengths,
            np.full(len(datagrams), arrival_time, np.int64),
            path,
        )


@dataclass(frozen=True, slots=True)
class Transmission:
    """Datagrams a session wants sent now, in this order, along one path."""

    datagrams: Sequence[bytes]
    path: Hashable
