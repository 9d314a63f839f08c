"""Sound that repeats itself (RFC 2198): each packet carries its own payload and the few before it."""

from __future__ import annotations

from collections import deque

from protocol import red
from protocol.red import Block, Red
from protocol.rtp import HEADER_SIZE

MAX_DEPTH = 3


class Redundancy:
    """Of one stream of sound; sans-IO. Its packets keep their numbers and timestamps: only payload and payload type
    change."""

    def __init__(self, payload_type: int, max_datagram: int) -> None:
        """`payload_type`: of RED; `max_datagram`: octets, that a packet is never made longer than."""
        self.depth = 0
        """earlier payloads in each packet, 0 to MAX_DEPTH; 0 leaves packets as they are. May change at any moment."""
        self.octets = 0
        """added so far."""
        self._payload_type = payload_type
        self._max_datagram = max_datagram
        self._before: deque[tuple[int, int, bytes]] = deque(maxlen=MAX_DEPTH)

    def wrap(self, datagram: bytes) -> bytes:
        """The next RTP packet (without CSRC, extension or padding), on its way out.

        The marker begins a talkspurt: nothing is repeated across a silence, so that a receiver can count numbers back
        by timestamps."""
        marker, payload_type = datagram[1] & 0x80, datagram[1] & 0x7F
        timestamp, payload = int.from_bytes(datagram[4:8]), datagram[HEADER_SIZE:]
        if marker:
            self._before.clear()
        wrapped = self._wrapped(datagram, payload_type, timestamp, payload) if self.depth > 0 else datagram
        self._before.append((payload_type, timestamp, payload))
        self.octets += len(wrapped) - len(datagram)
        return wrapped

    def _wrapped(self, datagram: bytes, payload_type: int, timestamp: int, payload: bytes) -> bytes:
        room = self._max_datagram - len(datagram) - 1
        if room < 0:
            return datagram
        blocks: list[Block] = []
        for earlier_type, earlier, repeated in reversed([*self._before][-self.depth :]):
            offset = (timestamp - earlier) & 0xFFFF_FFFF
            room -= red.HEADER_SIZE + len(repeated)
            if room < 0 or offset > red.MAX_OFFSET or len(repeated) > red.MAX_LENGTH:
                break
            blocks.insert(0, Block(earlier_type, offset, repeated))
        second = bytes([datagram[1] & 0x80 | self._payload_type])
        return datagram[:1] + second + datagram[2:HEADER_SIZE] + bytes(Red(payload_type, payload, tuple(blocks)))
