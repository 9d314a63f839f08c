"""The end of a run with senders that take part in it: our report to each, and theirs to us."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable

from protocol.datagram import Transmission
from protocol.rtcp import report_pieces
from protocol.rtcp.app import App
from protocol.rtcp.report_exchange import ReportExchange
from receiver.events import PeerReport, ReportDue
from receiver.source import Source

PATIENCE = 1_500_000_000
"""ns that a sender's report is waited for, once ours is on its way."""
LONGEST = 1_500_000_000
"""ns that a report waits for what has come to be played: senders do not wait much longer."""
PLAYED = 250_000_000
"""ns after its playout time at which a packet has been played, also by a slow device."""
ABSENT = 3_000_000_000
"""ns of silence after which no sender waits for a report."""


class Farewell:
    """One receiver's; `ssrc`, `cname`: its own. Times in monotonic ns."""

    def __init__(self, ssrc: int, cname: str) -> None:
        self._ssrc = ssrc
        self._exchange = ReportExchange(cname)
        self._due: list[ReportDue] = []
        self._awaited: dict[int, int] = {}
        """SSRC of a sender → until when its report is waited for."""

    def ended(
        self,
        sources: Iterable[Source],
        known: Iterable[Source],
        path: Callable[[Source], Hashable],
        now: int,
        *,
        at_once: bool,
    ) -> None:
        """These have ended. A sender of ours of whose streams none is left is owed a report about those that it has not
        had one about: `at_once`, or when all has been played. `path`: where it goes."""
        known = list(known)
        left = {source.far_end for source in known if source.playing is not None}
        for far_end in {source.far_end: None for source in sources if source.far_end not in left}:
            fresh = [s for s in known if s.far_end == far_end and s.stream is not s.told]
            owed = [source for source in fresh if source.reads_reports and source.quiet_for(now) <= ABSENT]
            if owed:
                due = now if at_once else _played_by(fresh, now)
                ssrcs = frozenset(source.ssrc for source in fresh)
                self._due.append(ReportDue(owed[0].ssrc, ssrcs, path(owed[0]), due))
                for source in fresh:
                    source.told = source.stream

    def take_due(self, until: int) -> list[ReportDue]:
        """Once, those that are due by then."""
        taken = [due for due in self._due if due.time <= until]
        self._due = [due for due in self._due if due.time > until]
        return taken

    def offer(self, to: int, data: bytes, path: Hashable, now: int) -> None:
        """Our report for a sender."""
        self._exchange.offer(self._ssrc, to, data, path, now)
        self._awaited[to] = now + PATIENCE

    def handle(self, packet: App, path: Hashable, now: int) -> list[PeerReport]:
        """An APP packet; raises ProtocolError for one of ours that cannot be read."""
        part = report_pieces.parse(packet)
        if part is None or part.to != self._ssrc or part.ssrc not in self._awaited:
            return []
        report = self._exchange.receive(part, path, now)
        if report is None:
            return []
        self._awaited[part.ssrc] = 0
        return [PeerReport(part.ssrc, report, now)]

    def poll(self, now: int) -> list[Transmission]:
        return self._exchange.poll(now)

    def next_time(self) -> int | None:
        times = [due.time for due in self._due]
        exchange = self._exchange.next_time()
        return min(times if exchange is None else [*times, exchange], default=None)

    def over(self, now: int) -> bool:
        """No report is due, on its way, or waited for."""
        waiting = any(now < until for until in self._awaited.values())
        return not (self._due or self._exchange.busy(now) or waiting)


def _played_by(sources: Iterable[Source], now: int) -> int:
    """When the last of what came has been played; a little after `now` if that is too far."""
    times = [time for s in sources if s.stream is not None and (time := s.stream.played_by()) is not None]
    return min(now + LONGEST, max([now, *(time + PLAYED for time in times)]))
