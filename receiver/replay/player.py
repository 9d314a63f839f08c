"""What follows a replayed session: decoding, files, events and the report, all in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from protocol import peer_report
from protocol.errors import FatalError, NoPeerError, ProtocolError
from receiver.config import ReceiverConfig
from receiver.events import KINDS, Event, Goodbye, PeerReport, ReportDue, StreamEnded
from receiver.media import StreamKey
from receiver.playback import Playback, out_of_band
from receiver.players import Running
from receiver.playout.recorder import Recorder
from receiver.replay.outputs import Inline, VirtualOutputs
from receiver.replay.survey import Survey
from receiver.report import document
from receiver.report.collect import collect
from receiver.report.sampling import Rates, Skew
from receiver.report.snapshot import Event as ReportEvent
from receiver.report.snapshot import Snapshot
from receiver.session import ReceiverSession

EVENTS = 1000
"""kept for the report."""
LOOK = 1_000_000_000
"""ns between two rows of the report's intervals."""


class Player:
    """Call `advance` before each call of the session, and `deliver` after it."""

    def __init__(
        self, config: ReceiverConfig, session: ReceiverSession, began: int, log: Callable[[str], None], found: Survey
    ) -> None:
        self._config, self._session, self._log, self._found = config, session, log, found
        self._exact = found.exact
        """the session is told only what was recorded."""
        self._began = self.now = began
        self._next_look = began + LOOK
        self._events: list[ReportEvent] = []
        self._intervals: list[dict[str, object]] = []
        self._peers: dict[int, dict[str, Any]] = {}
        """senders' reports."""
        self._rates = Rates()
        self._output_error: str | None = None
        self.closed = self._ended = False
        self.snapshot = Snapshot(0.0)
        self._skew = Skew(lambda: self._outputs.timeline)
        self._outputs = VirtualOutputs(config, began, self._skew.shown, self._failed)
        self._recorder = Recorder(config.record, self._failed, patient=True) if config.record else None
        self._playback = Playback(
            show=None if self._outputs.pictures is None else self._outputs.show,
            scheduler=self._outputs.scheduler,
            timeline=self._outputs.timeline,
            device=self._outputs.sound_statistics,
            on_damage=self._damaged,
            log=log,
            running=Running(Inline, lambda: self.now),
        )
        self._plays = self._outputs.pictures is not None or self._outputs.timeline is not None

    def advance(self, now: int) -> None:
        """Time goes on: what is due is played, and each second looked at."""
        self.now = max(self.now, now)
        if self._ended:
            return
        while self._next_look <= now:
            self._outputs.advance(self._next_look)
            self._look(self._next_look)
            self._next_look += LOOK
        self._outputs.advance(now)

    def deliver(self) -> None:
        """What the session has for decoders and the report."""
        output = self._session.poll()
        for event in output.events:
            self._event(event)
        if output.units:
            if not self._exact:
                self._session.set_device_latency("audio", self._outputs.device_latency)
            if self._plays:
                self._playback.deliver(output.units, self.now)
            if self._recorder is not None:
                for unit in output.units:
                    self._recorder.write(unit, unit.playout_time - self._began, out_of_band(unit.format))

    def close_session(self, now: int) -> None:
        """The session ends."""
        self.advance(now)
        self._session.close(now)
        self.closed = True

    def looked(self) -> None:
        """Somebody asked the live session for its figures: the first time after its end was for the report."""
        if self.closed:
            self._end()

    def close(self) -> None:
        """The capture is over: the session too, unless that was among its calls."""
        if not self.closed:
            self.close_session(self.now)
        self.deliver()
        self._end()

    def _end(self) -> None:
        """What is held is played, and the figures are final."""
        if self._ended:
            return
        self._ended = True
        self._playback.close()
        self.now = self._outputs.close(self.now)
        if self._recorder is not None:
            self._recorder.close()
        self._take(self.now, self._found)

    def conclude(self, capture: dict[str, object]) -> tuple[int, dict[str, object]]:
        """Exit code and report."""
        error = self._output_error if self.snapshot.streams else "no packets came"
        try:
            if self._config.picture is not None:
                self._outputs.save(self._config.picture)
        except FatalError as failure:
            error = error or str(failure)
            self._log(str(failure))
        report = document.document(
            self.snapshot, self._config.given, error=error, intervals=self._intervals, peers=list(self._peers.values())
        )
        code = NoPeerError.exit_code if not self.snapshot.streams else 1 if error else 0
        return code, {**report, "capture": capture}

    def _look(self, now: int) -> None:
        before = self.snapshot
        self._take(now, None)
        self._intervals = document.thinned([*self._intervals, document.interval(self.snapshot, before)])

    def _take(self, now: int, found: Survey | None) -> None:
        """A new snapshot; what the kernel dropped in all is known at the end."""
        statistics = self._session.statistics()
        if found is None:  # the model of the losses takes long to fit, and no interval shows it
            statistics = replace(statistics, streams=tuple(replace(s, loss_sample=()) for s in statistics.streams))
        self._skew.planned = statistics.planned_skew
        known = found is not None and found.exact
        mp4 = self._outputs.mp4
        self.snapshot = collect(
            statistics,
            self._playback.statistics(now),
            tuple(self._events),
            time_s=(now - self._began) / 1e9,
            rates=self._rates.update(statistics, now),
            skew=self._skew.percentiles(),
            kernel_drops=found.dropped_by_system if found is not None and known else None,
            kernel_drops_exact=bool(found and known and found.session and found.session.get("kernel_drops_exact")),
            output_drops={} if mp4 is None else {"mp4": mp4.dropped},
            began=self._began,
        )

    def _event(self, event: Event) -> None:
        """Our report is offered where the recorded calls say so."""
        if isinstance(event, ReportDue):
            return
        self._note(KINDS[type(event)], str(event), event.time)
        if isinstance(event, PeerReport):
            self._take_report(event)
        if isinstance(event, Goodbye):
            self._playback.ending(event.key)
        if isinstance(event, StreamEnded):
            self._playback.ended(event)

    def _take_report(self, event: PeerReport) -> None:
        try:
            self._peers[event.ssrc] = peer_report.unpack(event.data)
        except ProtocolError as error:
            self._log(f"the sender's report cannot be read: {error}")

    def _note(self, kind: str, why: str, when: int) -> None:
        if len(self._events) < EVENTS:
            self._events.append(ReportEvent((when - self._began) / 1e9, kind, why))

    def _failed(self, line: str) -> None:
        self._log(line)
        self._output_error = self._output_error or line
        self._note("output_failed", line, self.now)

    def _damaged(self, key: StreamKey, why: str) -> None:
        """A decoder needs a key frame; what the live one asked for is among the recorded calls."""
        if not self._exact:
            self._session.request_key_frame(key, why)
