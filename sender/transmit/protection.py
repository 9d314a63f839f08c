"""Repair packets of one stream (docs/wire.md, "Reed–Solomon"): over the packets of a frame where it has enough of them,
over those of the last few frames where not."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator, Sequence

from protocol.fec import payload, reed_solomon
from protocol.fec.payload import OVERHEAD, Repair
from protocol.fec.reed_solomon import SPAN

ENOUGH = 32
"""packets of a frame that are protected without the frames before: more would cost time and gain little."""
_AT_ONCE = SPAN // 2
"""packets of a very large frame that are not kept waiting for its end."""
_HEADER = struct.Struct("!BBHII")


class Protection:
    """What is sent beside one SSRC; sans-IO. Settings may change at any moment."""

    def __init__(
        self, media_ssrc: int, ssrc: int, payload_type: int, first_sequence: int, *, every_packet_is_a_frame: bool
    ) -> None:
        """`ssrc`, `payload_type`, `first_sequence`: of the repair packets. Frames end with the marker, or, of sound,
        with each packet."""
        self.share = 0.0
        """octets of repair for each octet of media, 0 to 1. Never exceeded by more than half a packet."""
        self.frames = 2
        """frames that a repair packet covers: the older are repaired by what follows them, that much later."""
        self.stride = 1
        """more: each repair packet covers only every so many-th packet."""
        self.packets = self.octets = 0
        """repair packets made so far, and their octets of UDP payload."""
        self._media_ssrc, self._ssrc, self._payload_type = media_ssrc, ssrc, payload_type
        self._next_sequence = first_sequence
        self._single = every_packet_is_a_frame
        self._symbols: deque[bytes] = deque(maxlen=SPAN)
        self._newest = 0
        self._timestamp = b""
        self._lengths: deque[int] = deque([0], maxlen=SPAN)
        """packets of the newest frames, the last of which may go on."""
        self._due = 0.0
        """octets of repair that the share allows and that were not sent yet."""

    def protect(self, datagrams: Sequence[bytes]) -> list[bytes]:
        """The media's next packets leave; what is returned leaves right behind them."""
        if self.share <= 0:
            self._forget()
            return []
        repair: list[bytes] = []
        for datagram in datagrams:
            self._add(datagram)
            ended = self._single or bool(datagram[1] & 0x80)
            if ended or self._lengths[-1] % _AT_ONCE == 0:
                repair += self._repair()
            if ended:
                self._lengths.append(0)
        return repair

    def _forget(self) -> None:
        if self._symbols:
            self._symbols.clear()
            self._lengths.clear()
            self._lengths.append(0)
            self._due = 0.0

    def _add(self, datagram: bytes) -> None:
        number = int.from_bytes(datagram[2:4])
        if self._symbols and number != (self._newest + 1) & 0xFFFF:
            self._forget()
        self._newest, self._timestamp = number, datagram[4:8]
        self._symbols.append(payload.symbol(datagram))
        self._lengths[-1] += 1
        self._due += self.share * len(datagram)

    def _window(self) -> int:
        """How many of the newest packets are covered."""
        own = self._lengths[-1]
        if own >= ENOUGH:
            return min(own, len(self._symbols))
        count = max(1, self.frames)
        return min(sum(list(self._lengths)[-count:]), len(self._symbols))

    def _repair(self) -> list[bytes]:
        """As many repair packets as the share allows by now, to the nearest."""
        symbols = list(self._symbols)[-self._window() :]
        size = OVERHEAD + max(map(len, symbols))
        count = min(int(self._due / size + 0.5), SPAN)
        if not count:
            return []
        rows = range(self._next_sequence, self._next_sequence + count)
        self._next_sequence += count
        repair = [datagram for _, datagram in sorted(self._encoded(symbols, rows))]
        self._due -= sum(map(len, repair))
        self.packets += count
        self.octets += sum(map(len, repair))
        return repair

    def _encoded(self, symbols: Sequence[bytes], rows: range) -> Iterator[tuple[int, bytes]]:
        """(row, repair packet). Rows take turns at the phases of the stride."""
        first = self._newest - len(symbols) + 1
        stride = min(self.stride, len(symbols))
        for phase in range(min(stride, len(rows))):
            turn = rows[phase] % stride
            here, mine = symbols[turn::stride], rows[phase::stride]
            numbers = range(first + turn, self._newest + 1, stride)
            encoded = reed_solomon.encode(numbers, reed_solomon.stack(here, max(map(len, here))), mine)
            for row, symbol in zip(mine, encoded, strict=True):
                repair = Repair(self._media_ssrc, numbers[0] & 0xFFFF, len(here), stride, symbol.tobytes())
                yield row, self._datagram(row, repair)

    def _datagram(self, row: int, repair: Repair) -> bytes:
        timestamp = int.from_bytes(self._timestamp)
        return _HEADER.pack(0x80, self._payload_type, row & 0xFFFF, timestamp, self._ssrc) + bytes(repair)
