"""SRTP and SRTCP in: what is authentic comes out as RTP and RTCP, everything else is counted by reason."""

from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np

from protocol.datagram import Batch
from protocol.srtp import library
from protocol.srtp.master_key import MasterKey
from protocol.srtp.profile import SRTCP_INDEX
from protocol.srtp.protector import mki_distance
from protocol.srtp.refused import MALFORMED, OTHER_KEY, REPLAYED, TOO_MANY, TRUNCATED, UNAUTHENTICATED, Refusal, Refused
from protocol.srtp.rollover import Allowance, Search

MAX_STREAMS = 1024
"""that one key opens, of RTP and of RTCP each; only who has the key can make one."""
LOST_TRACK = 2_000_000_000
"""ns of silence after which a stream may have wrapped unseen."""
_RTP_HEADER, _RTCP_HEADER = 12, 8
_RTP_NUMBERS = struct.Struct("!HHII")
_ALIGNMENT = 16

_REASONS = {library.AUTHENTICATION: UNAUTHENTICATED, library.REPLAYED: REPLAYED, library.TOO_OLD: REPLAYED}


class _Stream:
    """One SSRC of which something authentic came."""

    __slots__ = ("heard", "highest")

    def __init__(self, highest: int) -> None:
        self.highest, self.heard = highest, 0
        """index of the newest packet; when one came, monotonic ns."""


class Unprotector:
    """Everything that comes under one key. Streams appear by their SSRC, with their first authentic packet. Not for two
    threads at once."""

    def __init__(self, key: MasterKey) -> None:
        self.key = key
        self.refused = Refused()
        """what was not let in; whoever reports it begins another."""
        self.why = Refusal("")
        """the newest datagram that was tried and not let in was not."""
        self.authentic = self.heard = 0
        """datagrams that were let in, and when the newest of them came, monotonic ns."""
        self._rtp, self._rtcp = (library.Context(key, inbound=True) for _ in range(2))
        self._streams: dict[int, _Stream] = {}
        self._reporters: set[int] = set()
        """SSRCs of authentic RTCP: they exist, whatever else claims to be theirs."""
        self._search: Search | None = None
        self._strange, self._vouched = Allowance(), Allowance()
        self._memory = library.Memory(1 << 16)
        self._tail = key.profile.tag_length + len(key.mki)

    @property
    def ssrcs(self) -> set[int]:
        """Those of which something authentic came."""
        return self._reporters.union(self._streams)

    def unprotect(self, datagram: bytes, now: int) -> bytes | None:
        """What was encrypted, None when it is not let in; `now`: when it arrived, monotonic ns."""
        opened = self.attempt(datagram, now)
        if opened is None:
            self.refused.add(self.why)
        return opened

    def attempt(self, datagram: bytes, now: int) -> bytes | None:
        """The same, and not counted when it is not let in: it may be for another key."""
        if len(datagram) + _ALIGNMENT > self._memory.size:
            self._memory = library.Memory(2 * len(datagram) + _ALIGNMENT)
        length = self._open(datagram, 0, now)
        return self._memory.octets[:length] if length else None

    def unprotect_batch(self, batch: Batch) -> Batch:
        """Those let in, in their order, with everything else as it was; valid until the next call."""
        needed = int(batch.lengths.sum()) + _ALIGNMENT * (len(batch) + 1)
        if needed > self._memory.size:
            self._memory = library.Memory(2 * needed)
        octets, now, at = batch.buffer.data, 0, 0
        rows, starts, lengths = [], [], []
        places = zip(batch.offsets.tolist(), batch.lengths.tolist(), batch.arrival_times.tolist(), strict=True)
        for row, (start, size, now) in enumerate(places):
            if length := self._open(octets[start : start + size], at, now):
                rows.append(row)
                starts.append(at)
                lengths.append(length)
                at += -(-length // _ALIGNMENT) * _ALIGNMENT
            else:
                self.refused.add(self.why)
        return replace(
            batch,
            buffer=np.frombuffer(self._memory.octets, np.uint8),
            offsets=np.array(starts, np.int64),
            lengths=np.array(lengths, np.int64),
            arrival_times=batch.arrival_times[rows],
            authentic=True,
        )

    def _open(self, datagram: bytes | memoryview, at: int, now: int) -> int:
        """Decrypts a datagram to `at` in our memory; returns its length there, 0 when it is not let in."""
        size = len(datagram)
        rtcp = size >= 2 and 192 <= datagram[1] <= 223
        if size < self._tail + (_RTCP_HEADER + SRTCP_INDEX if rtcp else _RTP_HEADER):
            return self._refuse(TRUNCATED)
        if self.key.mki:
            bare = without_mki(bytes(datagram), self.key)
            if bare is None:
                return self._refuse(OTHER_KEY)
            datagram, size = bare, len(bare)
        memory = self._memory
        memory.octets[at : at + size] = datagram
        memory.length[0] = size
        length = self._open_rtcp(datagram, at) if rtcp else self._open_rtp(datagram, at, now)
        if length:
            self.authentic, self.heard = self.authentic + 1, now
        return length

    def _open_rtp(self, datagram: bytes | memoryview, at: int, now: int) -> int:
        _, number, _, ssrc = _RTP_NUMBERS.unpack_from(datagram)
        stream = self._streams.get(ssrc)
        index = number if stream is None else stream.highest + _forward(number, stream.highest)
        told = stream is None and self.key.rocs.get(ssrc, 0)
        status = library.AUTHENTICATION if told else self._try(at)
        if status in _REASONS and (found := self._find(datagram, ssrc, stream, now)) is not None:
            index = found << 16 | number
            status = self._begin_again(datagram, at, ssrc, index)
        if status:
            return self._refuse(_REASONS.get(status, MALFORMED), None if stream is None else ssrc, number)
        if stream is None:
            if len(self._streams) >= MAX_STREAMS:
                self._rtp.forget(ssrc)
                return self._refuse(TOO_MANY)
            stream = self._streams[ssrc] = _Stream(index)
        stream.highest, stream.heard = max(stream.highest, index), now
        length: int = self._memory.length[0]
        return length

    def _try(self, at: int) -> int:
        status: int = library.unprotect(self._rtp.handle, self._memory.pointer + at, self._memory.length)
        return status

    def _find(self, datagram: bytes | memoryview, ssrc: int, stream: _Stream | None, now: int) -> int | None:
        """The roll-over counter of a packet that libsrtp expected another of, if it may be looked for."""
        if stream is not None:
            if now - stream.heard < LOST_TRACK:
                return None
            first = (stream.highest >> 16) + 1
        else:
            first = self.key.rocs.get(ssrc, 0) or 1
        certain = stream is not None or ssrc in self._reporters or ssrc in self.key.rocs
        if self._search is None:
            self._search = Search(self.key)
        return self._search.find(bytes(datagram), first, self._vouched if certain else self._strange, now)

    def _begin_again(self, datagram: bytes | memoryview, at: int, ssrc: int, index: int) -> int:
        """The stream stands just before a packet of this index; then that is let in. What came of it before is far
        behind, so that nothing of it is taken twice."""
        assert self._search is not None
        self._rtp.forget(ssrc)
        self._search.lead(self._rtp, index, ssrc)
        size = len(datagram)
        self._memory.octets[at : at + size] = datagram
        self._memory.length[0] = size
        return self._try(at)

    def _open_rtcp(self, datagram: bytes | memoryview, at: int) -> int:
        """Its index stands in it: nothing to look for (RFC 3711 §3.4)."""
        status = library.unprotect_rtcp(self._rtcp.handle, self._memory.pointer + at, self._memory.length)
        if status:
            return self._refuse(_REASONS.get(status, MALFORMED))
        ssrc = int.from_bytes(datagram[4:8])
        if ssrc not in self._reporters:
            if len(self._reporters) >= MAX_STREAMS:
                self._rtcp.forget(ssrc)
                return self._refuse(TOO_MANY)
            self._reporters.add(ssrc)
        length: int = self._memory.length[0]
        return length

    def _refuse(self, reason: str, ssrc: int | None = None, number: int = 0) -> int:
        """`ssrc` of a known stream."""
        self.why = Refusal(reason, ssrc, number)
        return 0


def _forward(number: int, highest: int) -> int:
    """From an index to the nearest one of these low 16 bits; negative where that lies before it."""
    return ((number - highest + 0x8000) & 0xFFFF) - 0x8000


def without_mki(datagram: bytes, key: MasterKey) -> bytes | None:
    """The packet as it was before its MKI was put in; None when it names another key."""
    end = len(datagram) - mki_distance(key)
    at = end - len(key.mki)
    return datagram[:at] + datagram[end:] if datagram[at:end] == key.mki else None
