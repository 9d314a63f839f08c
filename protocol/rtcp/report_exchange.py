"""Reports on their way to and from other ends: what each side of a session keeps of it. Times in monotonic ns."""

from __future__ import annotations

from collections.abc import Hashable

from protocol.datagram import Transmission
from protocol.rtcp import compound
from protocol.rtcp.report_pieces import (
    MAX_PIECES,
    OVERHEAD,
    PIECE_SIZE,
    IncomingReports,
    OutgoingReport,
    PieceAcknowledgement,
    ReportPiece,
)
from protocol.rtcp.rr import ReceiverReport
from protocol.rtcp.sdes import CNAME, SdesChunk, SdesItem, SourceDescription

_MOST = 16
"""reports on their way at once; of more, the one offered first is given up."""


class ReportExchange:
    """`cname`: of this end. `max_datagram`: octets of UDP payload."""

    def __init__(self, cname: str, max_datagram: int = 1200) -> None:
        self._cname = cname
        room = max_datagram - len(self._head(0)) - OVERHEAD
        self._size = max(4, min(PIECE_SIZE, room))
        self._incoming = IncomingReports()
        self._outgoing: dict[int, tuple[OutgoingReport, Hashable]] = {}
        self._answers: dict[tuple[int, bytes], tuple[PieceAcknowledgement, Hashable]] = {}

    @property
    def limit(self) -> int:
        """Octets that a report of ours may have."""
        return MAX_PIECES * self._size

    def offer(self, ssrc: int, to: int, data: bytes, path: Hashable, now: int) -> None:
        """A report from us, by our name `ssrc`, for the end with the SSRC `to`; it replaces the one before.

        Raises ValueError when it is above `limit`.
        """
        self._outgoing.pop(to, None)
        self._outgoing[to] = OutgoingReport(ssrc, to, data, now, size=self._size), path
        if len(self._outgoing) > _MOST:
            del self._outgoing[next(iter(self._outgoing))]

    def forget(self, to: int) -> None:
        """This end has left."""
        self._outgoing.pop(to, None)

    def receive(self, packet: ReportPiece | PieceAcknowledgement, path: Hashable, now: int) -> bytes | None:
        """Something meant for us; returns a whole report, once. `path`: where the answer goes."""
        if isinstance(packet, PieceAcknowledgement):
            if packet.ssrc in self._outgoing:
                self._outgoing[packet.ssrc][0].acknowledge(packet, now)
            return None
        answer, whole = self._incoming.receive(packet)
        self._answers[packet.ssrc, packet.digest] = answer, path
        return whole

    def poll(self, now: int) -> list[Transmission]:
        """What leaves now. What was delivered or given up is forgotten."""
        if not self._answers and not self._outgoing:
            return []
        answers, self._answers = self._answers, {}
        parts: list[tuple[ReportPiece | PieceAcknowledgement, Hashable]] = list(answers.values())
        for report, path in self._outgoing.values():
            parts += [(piece, path) for piece in report.take(now)]
        self._outgoing = {to: each for to, each in self._outgoing.items() if not each[0].over(now)}
        return [Transmission([self._head(part.ssrc) + bytes(part.to_app())], path) for part, path in parts]

    def busy(self, now: int) -> bool:
        """A report of ours is neither delivered nor given up."""
        return any(not report.over(now) for report, _ in self._outgoing.values())

    def next_time(self) -> int | None:
        """When `poll` has something, 0 for at once; None while there is nothing."""
        if self._answers:
            return 0
        return min((report.next_time() for report, _ in self._outgoing.values()), default=None)

    def _head(self, ssrc: int) -> bytes:
        """What every compound packet begins with."""
        name = SourceDescription((SdesChunk(ssrc, (SdesItem(CNAME, self._cname),)),))
        return compound.serialize([ReceiverReport(ssrc), name])
