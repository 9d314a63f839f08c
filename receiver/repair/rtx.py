"""Retransmissions as they come (RFC 4588): which stream each belongs to. To anyone else they are no stream."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from protocol import rtx
from protocol.datagram import Batch
from protocol.errors import ProtocolError
from protocol.rtp import Headers
from receiver.repair.repair import Repair
from receiver.sources import Known

MAX_ASSOCIATED = 64
"""SSRCs of retransmissions that are remembered."""


class Retransmissions:
    """An RTX stream belongs to a media stream because the session's description says so (RFC 5576 FID), or because it
    brings what exactly one stream has asked for (RFC 4588 §5.3)."""

    def __init__(self, payload_types: Mapping[int, int], ssrcs: Mapping[int, int], sources: Known) -> None:
        """`payload_types`: of retransmissions, with those of the originals (apt); `ssrcs`: likewise, where known."""
        self._apt = payload_types
        self._is_rtx = np.array([number in payload_types for number in range(128)])
        self._associated: OrderedDict[int, int] = OrderedDict(ssrcs)
        self._sources = sources
        self.unmatched: Counter[str] = Counter()
        """retransmissions that belong to no stream, by reason."""

    def among(self, headers: Headers) -> NDArray[np.bool_]:
        """Which packets are retransmissions. shape (n,)."""
        found: NDArray[np.bool_] = self._is_rtx[headers.payload_type]
        return found

    def receive(self, headers: Headers, rows: NDArray[np.int64], batch: Batch) -> None:
        """These rows of a batch are; their streams take what they can use."""
        for row in rows.tolist():
            start, length = int(headers.payload_offset[row]), int(headers.payload_length[row])
            payload = bytes(batch.buffer.data[start : start + length])
            try:
                osn = rtx.original_sequence_number(payload)
            except ProtocolError as error:
                self.unmatched[error.reason] += 1
                continue
            repair = self._repair(int(headers.ssrc[row]), self._apt[int(headers.payload_type[row])], osn)
            if repair is None:
                self.unmatched["rtx_empty" if osn is None else "rtx_of_no_stream"] += 1
            else:
                timestamp, marker = int(headers.timestamp[row]), bool(headers.marker[row])
                repair.retransmitted(osn, payload, timestamp, marker, int(batch.arrival_times[row]))

    def _repair(self, ssrc: int, apt: int, osn: int | None) -> Repair | None:
        """Of the stream that it belongs to."""
        source = self._sources.get(self._associated.get(ssrc, ssrc))
        if source is not None and (stream := source.playing) is not None and stream.payload_type == apt:
            return stream.repair
        asked = [
            (source.ssrc, repair)
            for source in self._sources
            if (stream := source.playing) is not None and (repair := stream.repair) is not None
            if stream.payload_type == apt and osn is not None and repair.asked_for(osn)
        ]
        if len(asked) != 1:
            return None
        self._associate(ssrc, asked[0][0])
        return asked[0][1]

    def _associate(self, ssrc: int, media: int) -> None:
        self._associated[ssrc] = media
        if len(self._associated) > MAX_ASSOCIATED:
            self._associated.popitem(last=False)
