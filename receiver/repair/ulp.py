"""ULPFEC (RFC 5109) that other programs send among their media, mostly in RED: it has the media's SSRC and numbering,
so its packets are places of that numbering without media. What they give back goes to the stream."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from protocol import rtp, ulpfec
from protocol.datagram import Batch
from protocol.errors import ProtocolError
from protocol.rtp import HEADER_SIZE, Headers
from protocol.serial import difference
from receiver.jitter.runs import Packets
from receiver.media import StreamKey
from receiver.repair.holes import Holes
from receiver.repair.recent import Rebuilt
from receiver.repair.ulpfec import XorRebuilder
from receiver.source import Source
from receiver.sources import Known
from receiver.stream import Stream

AHEAD, BEHIND = 1, 10
"""seconds of media by which a rebuilt packet's timestamp may be after, or before, the newest that came."""


class Ulp:
    """Of one session. `rebuild` False: its packets are places only."""

    def __init__(self, payload_types: Collection[int], sources: Known, *, rebuild: bool) -> None:
        self._is_repair = np.isin(np.arange(128), [*payload_types])
        self._active = rebuild and bool(payload_types)
        self._sources = sources
        self._rebuilders: dict[StreamKey, XorRebuilder] = {}
        self.refused: Counter[str] = Counter()
        """what could not be used, by reason."""

    def among(self, headers: Headers) -> NDArray[np.bool_]:
        """Which packets are repair packets. shape (n,)."""
        found: NDArray[np.bool_] = self._is_repair[headers.payload_type]
        return found

    def rebuild(self, headers: Headers, good: NDArray[np.bool_], batch: Batch) -> None:
        """Media and repair packets of any streams, RED already opened, that have been handed on."""
        if not self._active:
            return
        repair = self.among(headers)
        for row in np.flatnonzero(good & ~repair).tolist():  # media first, so that nothing is rebuilt that came
            self._take(headers, row, batch, repair=False)
        for row in np.flatnonzero(good & repair).tolist():
            self._take(headers, row, batch, repair=True)

    def _take(self, headers: Headers, row: int, batch: Batch, *, repair: bool) -> None:
        source = self._sources.get(int(headers.ssrc[row]))
        if source is None or (stream := source.playing) is None:
            return
        number = _extended(source, int(headers.sequence_number[row]))
        if number > source.reached[1]:  # it has not been let in
            return
        if repair:
            start, length = int(headers.payload_offset[row]), int(headers.payload_length[row])
            rebuilt = self._repair(source, stream, bytes(batch.buffer.data[start : start + length]))
        elif headers.payload_type[row] == stream.payload_type and stream.key in self._rebuilders:
            rebuilt = self._rebuilders[stream.key].observe(number, _unwrapped(headers, row, batch))
        else:
            return
        for found in rebuilt:
            self._give_back(found, source, stream, int(batch.arrival_times[row]))

    def _repair(self, source: Source, stream: Stream, payload: bytes) -> list[Rebuilt]:
        """The first of a stream only says that there is repair: nothing of media is kept before."""
        if stream.holes is None and stream.format.media == "video":
            stream.holes = Holes()
        try:
            fec = ulpfec.parse(payload)
        except ProtocolError as error:
            self.refused[error.reason] += 1
            return []
        base = _extended(source, fec.base)
        if stream.holes is not None:
            stream.holes.protects([base + offset for offset in fec.offsets])
        if (rebuilder := self._rebuilders.get(stream.key)) is None:
            self._begin(stream.key)
            return []
        return rebuilder.repair(payload)

    def _give_back(self, found: Rebuilt, source: Source, stream: Stream, arrival: int) -> None:
        packet, newest = rtp.parse(found.datagram), stream.newest_timestamp
        step = difference(packet.timestamp, newest & 0xFFFF_FFFF, 32)
        rate = stream.format.clock_rate
        if packet.payload_type != stream.payload_type or not -BEHIND * rate <= step <= AHEAD * rate:
            self.refused["ulpfec_inconsistent"] += 1
        elif found.number > source.reached[1]:
            self.refused["ulpfec_number"] += 1
        else:
            if stream.repair is not None:
                stream.repair.nacks.restored(found.number)
            original = Packets.one(found.number, newest + step, packet.marker, packet.payload, arrival)
            stream.take_back(original, "fec")

    def _begin(self, key: StreamKey) -> None:
        """Those of streams that are over make room."""
        alive = {source.playing.key for source in self._sources if source.playing is not None}
        for gone in self._rebuilders.keys() - alive:
            self.refused.update(self._rebuilders.pop(gone).statistics().refused)
        self._rebuilders[key] = XorRebuilder(key.ssrc)

    def unmatched(self) -> Counter[str]:
        """What could not be used, by reason, of all streams."""
        return sum((Counter(one.statistics().refused) for one in self._rebuilders.values()), self.refused.copy())


def _extended(source: Source, number: int) -> int:
    """The extended number nearest to the highest that came, of a 16-bit one."""
    highest = source.reached[1]
    return highest + difference(number, highest & 0xFFFF, 16)


def _unwrapped(headers: Headers, row: int, batch: Batch) -> bytes:
    """The RTP packet that repair was made of: of one in RED with the payload and type inside."""
    datagram = batch.datagram(row)
    payload_type = int(headers.payload_type[row])
    if datagram[1] & 0x7F == payload_type:
        return datagram
    start, length = int(headers.payload_offset[row]), int(headers.payload_length[row])
    second = datagram[1] & 0x80 | payload_type
    head = bytes([datagram[0] & ~0x20, second]) + datagram[2 : _header_size(datagram)]  # padding stays outside
    return head + bytes(batch.buffer.data[start : start + length])


def _header_size(datagram: bytes) -> int:
    """Of a valid RTP packet, with CSRCs and extension."""
    size = HEADER_SIZE + 4 * (datagram[0] & 15)
    return size + 4 + 4 * int.from_bytes(datagram[size + 2 : size + 4]) if datagram[0] & 0x10 else size
