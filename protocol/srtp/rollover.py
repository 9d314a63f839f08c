"""Roll-over counters that nobody told: found by trial, few and bounded (RFC 3711 §3.3.1).

A packet carries the low 16 bits of its index only; how often they have wrapped is authenticated with it but not sent.
No function sets libsrtp's counter, but it follows a stream's numbers. So packets that are authentic, because we make
them ourselves and show them to nobody, lead it across the wraps.
"""

from __future__ import annotations

import struct

from protocol.srtp import library
from protocol.srtp.master_key import MasterKey

TRIED = 16
"""roll-over counters that one packet is tried with."""
MOST = 1 << 14
"""wraps that are counted up to: 2^30 packets."""
_STEP = 0x7FFF
"""the farthest jump of a number that is never taken for one across another wrap."""
_BEHIND = 1 << 14
"""packets between where a stream is led to and the packet that it is led to for: more than the replay window, less than
a jump."""
_STEPS_A_SECOND = 2000
"""that all searches may take together: half a percent of a core."""
_HEADER = struct.Struct("!BBHII")


class Guide:
    """Leads a context's streams across wraps with packets made for that."""

    def __init__(self, key: MasterKey) -> None:
        self._maker = library.Context(key, inbound=False)
        self._memory = library.Memory(256)

    def lead(self, context: library.Context, ssrc: int, start: int, end: int) -> None:
        """Index `start` is where the stream stands, or a first one below 2^16; `end` is where it stands then. Where
        `start` is where it last was led to, the maker stands there too."""
        index = start
        self._show(context, ssrc, index)
        while index < end:
            index = min(end, index + _STEP)
            self._show(context, ssrc, index)

    def _show(self, context: library.Context, ssrc: int, index: int) -> None:
        pointer, length = self._memory.pointer, self._memory.length
        self._memory.octets[: _HEADER.size] = _HEADER.pack(0x80, 0, index & 0xFFFF, 0, ssrc)
        length[0] = _HEADER.size
        if not library.protect(self._maker.handle, pointer, length):
            library.unprotect(context.handle, pointer, length)

    def forget(self, ssrc: int) -> None:
        """The next `lead` of this stream begins anew."""
        self._maker.forget(ssrc)


class Allowance:
    """What searches may cost: a bucket that fills by itself. One may overdraw it, the next waits until that is paid."""

    def __init__(self) -> None:
        self._steps, self._since = _STEPS_A_SECOND, 0

    def take(self, steps: int, now: int) -> bool:
        """Whether that may be spent, `now` in monotonic ns."""
        filled = self._steps + max(0, now - self._since) * _STEPS_A_SECOND // 1_000_000_000
        self._steps, self._since = min(_STEPS_A_SECOND, filled), now
        if self._steps <= 0:
            return False
        self._steps -= steps
        return True


class Search:
    """Tries packets with one roll-over counter after the other, in a context of its own."""

    def __init__(self, key: MasterKey) -> None:
        self._guide = Guide(key)
        self._scout = library.Context(key, inbound=True)
        self._memory = library.Memory(2048)

    def find(self, packet: bytes, first: int, allowance: Allowance, now: int) -> int | None:
        """The roll-over counter, `first` or one of those after it, with which the packet is authentic; None when it is
        none of them, or too much has been tried of late (`now`: monotonic ns)."""
        counters = range(first, min(first + TRIED, MOST))
        if not counters or not allowance.take(2 * counters[-1] + 2, now):
            return None
        ssrc = int.from_bytes(packet[8:12])
        try:
            return self._try(packet, ssrc, counters)
        finally:
            self._guide.forget(ssrc)
            self._scout.forget(ssrc)

    def lead(self, context: library.Context, index: int, ssrc: int) -> None:
        """The context's stream, of which it knows nothing, to where a packet of this index is expected."""
        self._guide.lead(context, ssrc, 0, beginning(index))
        self._guide.forget(ssrc)

    def _try(self, packet: bytes, ssrc: int, counters: range) -> int | None:
        """The scout only ever goes forward."""
        number = int.from_bytes(packet[2:4])
        at = 0
        for counter in counters:
            start = beginning(counter << 16 | number)
            self._guide.lead(self._scout, ssrc, at, start)
            at = start
            if self._authentic(packet):
                return counter
        return None

    def _authentic(self, packet: bytes) -> bool:
        memory = self._memory
        if len(packet) > memory.size:
            memory = self._memory = library.Memory(2 * len(packet))
        memory.octets[: len(packet)] = packet
        memory.length[0] = len(packet)
        return not library.unprotect(self._scout.handle, memory.pointer, memory.length)


def beginning(index: int) -> int:
    """Where a stream is led to, so that a packet with this index is the next that is taken."""
    return max(0, index - _BEHIND)
