"""Joins the receiver's parts: transport and session on the network thread, players, outputs, and the report."""

from __future__ import annotations

import gc
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from protocol import peer_report
from protocol.errors import FatalError, NoPeerError, ProtocolError
from protocol.payload.registry import FEC_PAYLOAD_TYPE, RED_PAYLOAD_TYPE
from receiver import libraries
from receiver.capture.recorded import RecordedSession
from receiver.capture.writing import Capture
from receiver.config import ReceiverConfig
from receiver.control.program import open_control
from receiver.description import RED, ULPFEC, ahead, formats, protection, retransmissions
from receiver.events import (
    KINDS,
    AllEnded,
    Event,
    Goodbye,
    PeerReport,
    ReportDue,
    StreamEnded,
    StreamResumed,
    StreamSilent,
    StreamStarted,
)  # fmt: skip
from receiver.gathering import GatheringSession
from receiver.media import AccessUnit, StreamKey
from receiver.network import Network
from receiver.outputs import open_outputs
from receiver.playback import Playback, out_of_band
from receiver.playout.recorder import Recorder
from receiver.report import document
from receiver.report.collect import collect
from receiver.report.overlay import overlay
from receiver.report.sampling import Rates, Skew
from receiver.report.snapshot import Event as ReportEvent
from receiver.report.snapshot import Snapshot
from receiver.report.web.dashboard import Dashboard, dashboard_address
from receiver.secure import secure
from receiver.session import ReceiverSession, SessionConfig, SessionStatistics
from receiver.transport import buffer_warning, open_transport

Log = Callable[[str], None]
EVENTS = 1000
"""kept for the report; the first ones, since what went wrong first explains the rest."""
SWITCH_INTERVAL = 0.0005
"""s a thread may hold the interpreter while another waits: a decoder must not delay the network by the usual 5 ms."""
LOGGED = (StreamStarted, StreamEnded, StreamSilent, StreamResumed)


def run(
    config: ReceiverConfig, *, log: Log, status: Callable[[Snapshot], None] | None, stop: threading.Event
) -> tuple[int, dict[str, object]]:
    """Receives until `stop` is set, the duration is over, or the window is closed; call it on the main thread.

    Returns the exit code and the report. Raises FatalError when it cannot begin.
    """
    sys.setswitchinterval(SWITCH_INTERVAL)
    libraries.load()  # now: the first picture does not wait for it
    gc.freeze()  # what the imports made lives as long as the program: the collector need not walk it again and again
    receiver = Receiver(config, log, stop)
    return receiver.run(status)


class Receiver:
    """The running program: what its threads share, and the order in which it begins and ends."""

    def __init__(self, config: ReceiverConfig, log: Log, stop: threading.Event) -> None:
        self._config, self._log, self._stop = config, log, stop
        self._began = time.monotonic_ns()
        self._events: list[ReportEvent] = []
        self._peers: dict[int, dict[str, Any]] = {}
        """senders' reports."""
        self._owed: list[ReportDue] = []
        self._failure: Exception | None = None
        self._output_error: str | None = None
        self._snapshot = Snapshot(0.0)
        self._rates = Rates()
        self._skew = Skew(lambda: self._outputs.timeline)
        self._intervals: list[dict[str, object]] = []
        self._recorder = Recorder(config.record, self._output_failed) if config.record else None
        self._capture = (
            Capture(config.capture, self._output_failed, host=config.listen.host) if config.capture else None
        )
        self._transport = open_transport(
            config.listen, bind=config.bind, interface=config.interface, family=config.family, gro=config.gro
        )
        if (warning := buffer_warning(self._transport)) is not None:
            log(warning)
        self._outputs = open_outputs(
            config, overlay=self._overlay, on_shown=self._skew.shown, log=log, fail=self._output_failed
        )
        self._playback = Playback(
            show=None if self._outputs.pictures is None else self._outputs.show,
            scheduler=self._outputs.scheduler,
            timeline=self._outputs.timeline,
            device=self._outputs.sound_statistics,
            on_damage=self._damaged,
            log=log,
        )
        rtcp_path = None if config.rtcp_to is None else self._transport.path_to(*config.rtcp_to)
        name = socket.gethostname()
        asked = SessionConfig(
            formats(config), config.latency, config.ssrc, name, rtcp_path, reports=True,
            rtx=retransmissions(config), rtx_ssrcs=config.listen.rtx_ssrcs, fec=ahead(config, FEC_PAYLOAD_TYPE),
            red=ahead(config, RED_PAYLOAD_TYPE), fec_share=config.repair.fec, wrapped=protection(config, RED),
            ulpfec=protection(config, ULPFEC), rebuild=config.repair.kind != "none",
        )  # fmt: skip
        session = self._session = self._open_session(asked)
        self._dashboard = self._open_dashboard(config.dashboard) if config.dashboard else None
        self._network = Network(
            self._transport, session, on_units=self._deliver, on_event=self._event, on_failure=self._failed,
            secure=secure(config, log, now=self._began),
        )  # fmt: skip
        self._control = open_control(config, self._network, log, self._give_up, self._failed)

    def _open_session(self, asked: SessionConfig) -> ReceiverSession:
        if self._capture is None:
            return GatheringSession(asked, self._began)
        self._capture.kernel_drops = self._transport.kernel_drops_total
        facts = {"kernel_drops_exact": not self._config.gro, "configuration": self._config.given}
        return RecordedSession(asked, self._began, self._capture, facts)

    def _open_dashboard(self, address: str) -> Dashboard:
        pictures = self._outputs.pictures
        dashboard = Dashboard(
            dashboard_address(address), self._report, None if pictures is None else lambda: pictures.last
        )
        self._log(f"dashboard: {dashboard.url}")
        return dashboard

    # -- the main thread --------------------------------------------------------------------------------------

    def run(self, status: Callable[[Snapshot], None] | None) -> tuple[int, dict[str, object]]:
        self._network.start()
        if self._control is not None:
            self._control.start()
        reporter = threading.Thread(target=self._report_each_second, args=(status,), name="report", daemon=True)
        reporter.start()
        if self._outputs.window is not None and self._outputs.changed is not None:
            assert self._outputs.pictures is not None
            self._outputs.window.run(self._outputs.pictures, self._stop, self._outputs.changed)
            self._stop.set()
        else:
            self._stop.wait()
        reporter.join(2.0)
        self._close()
        if self._failure is not None and not (isinstance(self._failure, FatalError) and self._snapshot.streams):
            raise self._failure
        return self._conclude()

    def _close(self) -> None:
        if self._control is not None:
            self._control.leave()
        self._network.end()
        self._playback.close()
        self._outputs.close()
        if self._recorder is not None:
            self._recorder.close()
        self._look()
        self._network.call(self._offer_owed)
        self._network.close()
        if self._control is not None:
            self._control.close()
        if self._capture is not None:
            self._capture.close()
        self._transport.close()
        if self._dashboard is not None:
            self._dashboard.close()

    def _conclude(self) -> tuple[int, dict[str, object]]:
        error = self._output_error if self._snapshot.streams else "no packets came"
        if isinstance(self._failure, FatalError):
            error = str(self._failure)
            self._log(error)
        try:
            if self._config.picture is not None and self._outputs.pictures is not None:
                self._outputs.pictures.save(self._config.picture)
        except FatalError as failure:
            error = error or str(failure)
            self._log(str(failure))
        report = self._report(self._snapshot, error)
        return (NoPeerError.exit_code if not self._snapshot.streams else 1 if error else 0), report

    def _report(self, snapshot: Snapshot, error: str | None = None) -> dict[str, object]:
        ports, intervals = self._config.listen.ports, list(self._intervals)
        peers = list(self._peers.values())
        return document.document(
            snapshot, self._config.given, ports=ports, error=error, intervals=intervals, peers=peers
        )

    # -- the report thread ------------------------------------------------------------------------------------

    def _report_each_second(self, status: Callable[[Snapshot], None] | None) -> None:
        end = None if self._config.duration is None else self._began + self._config.duration
        tick = self._began
        while True:
            tick += 1_000_000_000
            until = tick if end is None else min(tick, end)
            if self._stop.wait(max(0, until - time.monotonic_ns()) / 1e9):
                return
            if end is not None and time.monotonic_ns() >= end:
                self._stop.set()
                return
            before = self._snapshot
            self._look()
            self._intervals.append(document.interval(self._snapshot, before))
            self._intervals = document.thinned(self._intervals)
            if self._dashboard is not None:
                self._dashboard.publish(self._snapshot)
            if status is not None:
                status(self._snapshot)

    def _look(self) -> None:
        """A new snapshot."""
        statistics = self._network.ask()
        now = time.monotonic_ns()
        self._skew.planned = statistics.planned_skew
        self._snapshot = self._collect(statistics, now, self._rates.update(statistics, now))

    def _collect(self, statistics: SessionStatistics, now: int, rates: Mapping[StreamKey, float]) -> Snapshot:
        return collect(
            statistics,
            self._playback.statistics(now),
            tuple(self._events),
            time_s=(now - self._began) / 1e9,
            began=self._began,
            rates=rates,
            skew=self._skew.percentiles(),
            kernel_drops=self._transport.kernel_drops_total(),
            kernel_drops_exact=not self._config.gro,
            output_drops={
                "record": self._recorder.dropped if self._recorder else 0,
                "capture": self._capture.dropped if self._capture else 0,
                **self._outputs.dropped(),
            },
        )

    def _overlay(self) -> list[str]:
        return overlay(self._snapshot)

    # -- the threads that write ------------------------------------------------------------------------------

    def _output_failed(self, line: str) -> None:
        """A file takes nothing more (a full disk): the stream goes on, and the run ends with this as its error."""
        self._log(line)
        self._output_error = self._output_error or line
        self._note("output_failed", line, time.monotonic_ns())

    def _note(self, kind: str, why: str, when: int) -> None:
        if len(self._events) < EVENTS:
            self._events.append(ReportEvent((when - self._began) / 1e9, kind, why))

    # -- the network thread -----------------------------------------------------------------------------------

    def _deliver(self, units: list[AccessUnit]) -> None:
        self._session.set_device_latency("audio", self._outputs.device_latency)
        self._playback.deliver(units, time.monotonic_ns())
        if self._recorder is not None:
            for unit in units:
                self._recorder.write(unit, unit.playout_time - self._began, out_of_band(unit.format))

    def _event(self, event: Event) -> None:
        if isinstance(event, ReportDue):
            self._owe_report(event)
            return
        if isinstance(event, PeerReport):
            self._take_report(event)
        self._note(KINDS[type(event)], str(event), event.time)
        if isinstance(event, LOGGED) or self._config.verbose:
            self._log(str(event))
        if isinstance(event, Goodbye):
            self._playback.ending(event.key)
        if isinstance(event, StreamEnded):
            self._playback.ended(event)
        if isinstance(event, AllEnded) and self._config.exit_on_end:
            if self._control is None:
                self._stop.set()
            else:
                self._control.parted(self._stop.set)

    def _owe_report(self, event: ReportDue) -> None:
        """At the end of the run it waits until all has been played and nothing changes any more."""
        if self._stop.is_set():
            self._owed.append(event)
            return
        now = time.monotonic_ns()
        self._offer_report(self._session, event, self._collect(self._session.statistics(), now, {}))

    def _offer_owed(self, session: ReceiverSession) -> None:
        for event in self._owed:
            self._offer_report(session, event, self._snapshot)

    def _offer_report(self, session: ReceiverSession, event: ReportDue, snapshot: Snapshot) -> None:
        """To a sender, about its own streams."""
        streams = tuple(stream for stream in snapshot.streams if stream.ssrc in event.ssrcs)
        report = self._report(replace(snapshot, streams=streams))
        session.offer_report(event.ssrc, peer_report.pack(report), event.path, time.monotonic_ns())

    def _take_report(self, event: PeerReport) -> None:
        try:
            self._peers[event.ssrc] = peer_report.unpack(event.data)
        except ProtocolError as error:
            self._log(f"the sender's report cannot be read: {error}")

    def _failed(self, error: Exception) -> None:
        self._failure = self._failure or error
        self._stop.set()

    # -- the control thread -----------------------------------------------------------------------------------

    def _give_up(self, error: FatalError) -> None:
        """The far end is not there, or does not let us in: that is what the run ends with."""
        self._failed(error)

    # -- the decode threads -----------------------------------------------------------------------------------

    def _damaged(self, key: StreamKey, why: str) -> None:
        self._network.call(lambda session: session.request_key_frame(key, why))
