"""What a capture file holds, whatever its format."""

from __future__ import annotations

from typing import BinaryIO, NamedTuple

from protocol.errors import Truncated

ETHERNET, RAW_IP = 1, 101
"""link types (the registry of pcap-linktype) that this package writes or reads; `link.py` has them all."""
MAX_PACKET = 1 << 18
"""bytes one captured packet may have: libpcap's MAXIMUM_SNAPLEN."""


class Packet(NamedTuple):
    time: int
    """Unix ns."""
    link: int
    """link type."""
    data: bytes
    """what was kept of it."""
    length: int
    """bytes it had on the wire."""
    outbound: bool = False
    """sent by the machine that captured it; False also where the file does not say."""


class Counters(NamedTuple):
    """What a capturing program counted itself, cumulative; None where it did not say."""

    began: tuple[int, ...]
    """Unix ns at which the capture began, by what the stamp may mean; empty where it does not say."""
    dropped_by_interface: int | None
    """packets that the capturing program did not get."""
    dropped_by_system: int | None


class Note(NamedTuple):
    """A custom block of ours."""

    kind: int
    body: bytes


Record = Packet | Counters | Note


def exactly(file: BinaryIO, count: int) -> bytes:
    """The next `count` bytes. Raises Truncated."""
    data = file.read(count)
    if len(data) < count:
        raise Truncated("capture_cut")
    return data
