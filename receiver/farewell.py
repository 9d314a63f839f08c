"""The end of a run with senders that take part in it: our report to each, and theirs to us."""

from __future__ import annotations

from collections.abc import Hashable

from protocol.datagram import Transmission
from protocol.rtcp import report_pieces
from protocol.rtcp.app import App
from protocol.rtcp.report_exchange import ReportExchange
from receiver.events import PeerReport

PATIENCE = 1_500_000_000
"""ns that a sender's report is waited for, once ours is on its way."""


class Farewell:
    """One receiver's; `ssrc`, `cname`: its own. Times in monotonic ns."""

    def __init__(self, ssrc: int, cname: str) -> None:
        self._ssrc = ssrc
        self._exchange = ReportExchange(ssrc, cname)
        self._awaited: dict[Hashable, int] = {}
        """by a sender's path, until when its report is waited for."""

    def offer(self, to: int, data: bytes, path: Hashable, now: int) -> None:
        """Our report for a sender."""
        self._exchange.offer(to, data, path, now)
        self._awaited[path] = now + PATIENCE

    def handle(self, packet: App, path: Hashable, now: int) -> list[PeerReport]:
        """An APP packet; raises ProtocolError for one of ours that cannot be read."""
        part = report_pieces.parse(packet)
        if part is None or part.to != self._ssrc:
            return []
        report = self._exchange.receive(part, path, now)
        if report is None:
            return []
        self._awaited.pop(path, None)
        return [PeerReport(part.ssrc, report, now)]

    def poll(self, now: int) -> list[Transmission]:
        return self._exchange.poll(now)

    def next_time(self, now: int) -> int | None:
        return self._exchange.next_time(now)

    def over(self, now: int) -> bool:
        """Nothing is on its way, nor waited for."""
        return not self._exchange.busy(now) and all(now >= until for until in self._awaited.values())
