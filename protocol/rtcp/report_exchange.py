"""Reports on their way to and from other ends: what each side of a session keeps of it. Times in monotonic ns."""

from __future__ import annotations

from collections.abc import Hashable

from protocol.datagram import Transmission
from protocol.rtcp import compound
from protocol.rtcp.app import App
from protocol.rtcp.report_pieces import IncomingReports, OutgoingReport, PieceAcknowledgement, ReportPiece
from protocol.rtcp.rr import ReceiverReport
from protocol.rtcp.sdes import CNAME, SdesChunk, SdesItem, SourceDescription


class ReportExchange:
    """`ssrc`, `cname`: of this end."""

    def __init__(self, ssrc: int, cname: str) -> None:
        self._ssrc, self._cname = ssrc, cname
        self._incoming = IncomingReports(ssrc)
        self._outgoing: dict[int, tuple[OutgoingReport, Hashable]] = {}
        self._answers: list[tuple[App, Hashable]] = []

    def offer(self, to: int, data: bytes, path: Hashable, now: int) -> None:
        """A report for the end that has this SSRC; it replaces the one offered before."""
        self._outgoing[to] = OutgoingReport(self._ssrc, to, data, now), path

    def receive(self, packet: ReportPiece | PieceAcknowledgement, path: Hashable, now: int) -> bytes | None:
        """A whole report, once; `path`: where the answer goes."""
        if isinstance(packet, PieceAcknowledgement):
            if packet.ssrc in self._outgoing:
                self._outgoing[packet.ssrc][0].acknowledge(packet, now)
            return None
        answer, whole = self._incoming.receive(packet)
        self._answers.append((answer.to_app(), path))
        return whole

    def poll(self, now: int) -> list[Transmission]:
        """What leaves now."""
        apps, self._answers = self._answers, []
        for report, path in self._outgoing.values():
            apps += [(piece.to_app(), path) for piece in report.take(now)]
        return [Transmission([self._compound(app)], path) for app, path in apps]

    def busy(self, now: int) -> bool:
        """A report of ours is neither delivered nor given up."""
        return any(not report.over(now) for report, _ in self._outgoing.values())

    def next_time(self, now: int) -> int | None:
        """When `poll` has something; None while there is nothing."""
        if self._answers:
            return now
        times = [report.next_time() for report, _ in self._outgoing.values() if not report.over(now)]
        return min((time for time in times if time is not None), default=None)

    def _compound(self, app: App) -> bytes:
        name = SourceDescription((SdesChunk(self._ssrc, (SdesItem(CNAME, self._cname),)),))
        return compound.serialize([ReceiverReport(self._ssrc, ()), name, app])
