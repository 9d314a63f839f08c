"""What of a batch was sent ahead of need, told apart from media: repair packets by their payload type, redundant sound
opened so that its primary payload is a packet like any other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from protocol import red
from protocol.datagram import Batch
from protocol.errors import ProtocolError
from protocol.rtp import Headers
from receiver.sources import Known


class Opened(NamedTuple):
    """A packet of RED."""

    ssrc: int
    sequence_number: int
    timestamp: int
    arrival_time: int
    payload: bytes


class Opening:
    """`fec`: the payload type of repair packets, None: there are none; `reds`: those of RED."""

    def __init__(self, fec: int | None, reds: Collection[int], sources: Known) -> None:
        self._fec, self._sources = fec, sources
        self._is_red = np.isin(np.arange(128), [*reds])
        self.unmatched: Counter[str] = Counter()
        """what belongs to no stream, by reason."""

    def repair_packets(self, headers: Headers) -> NDArray[np.bool_]:
        """Which packets are repair packets. shape (n,)."""
        found: NDArray[np.bool_] = headers.payload_type == (-1 if self._fec is None else self._fec)
        return found

    def open(self, headers: Headers, batch: Batch) -> list[Opened]:
        """Makes packets of RED packets of their primary payload, in `headers` itself; returns what they were. One that
        cannot be read stays what it is."""
        opened = []
        for row in np.flatnonzero(self._is_red[headers.payload_type] & (headers.reason == 0)).tolist():
            start, length = int(headers.payload_offset[row]), int(headers.payload_length[row])
            payload = bytes(batch.buffer.data[start : start + length])
            try:
                carried = red.parse(payload)
            except ProtocolError as error:
                self.unmatched[error.reason] += 1
                continue
            headers.payload_type[row] = carried.payload_type
            headers.payload_offset[row] = start + length - len(carried.payload)
            headers.payload_length[row] = len(carried.payload)
            number, timestamp = int(headers.sequence_number[row]), int(headers.timestamp[row])
            opened.append(Opened(int(headers.ssrc[row]), number, timestamp, int(batch.arrival_times[row]), payload))
        return opened

    def repeat(self, opened: list[Opened]) -> None:
        """Their streams take what these repeat of sound; the packets themselves have been handed on."""
        for packet in opened:
            source = self._sources.get(packet.ssrc)
            if source is None or source.format.media != "audio" or source.playing is None:
                continue
            if (repair := source.playing.repair) is not None:
                repair.repeated(packet.sequence_number, packet.timestamp, packet.payload, packet.arrival_time)

    def repair(self, headers: Headers, rows: NDArray[np.int64], batch: Batch) -> None:
        """These rows are repair packets; their streams take what they can use."""
        for row in rows.tolist():
            start, length = int(headers.payload_offset[row]), int(headers.payload_length[row])
            payload = bytes(batch.buffer.data[start : start + length])
            source = self._sources.get(int.from_bytes(payload[:4]))  # docs/wire.md: the media's SSRC comes first
            if source is None or source.playing is None:
                self.unmatched["fec_of_no_stream"] += 1
            elif source.playing.repair is not None:
                number, arrival = int(headers.sequence_number[row]), int(batch.arrival_times[row])
                source.playing.repair.sent_ahead(number, payload, arrival)
