"""`python -m receiver replay FILE`: the receiver's session over a capture, in virtual time.

A capture of our own holds every call that drove the session: they are made again, one by one. Of any other, datagrams
come at their stamps, and timers run in between.
"""

from __future__ import annotations

import gc
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace

from protocol.errors import Malformed, ResourceError
from receiver.capture import journal
from receiver.capture.file import CaptureFile
from receiver.capture.link import Unwrapper
from receiver.capture.recorded import command, configuration
from receiver.capture.records import Note, Packet
from receiver.config import ReceiverConfig
from receiver.description import RED, ULPFEC, formats, playable, protection
from receiver.gathering import GatheringSession
from receiver.media import Format
from receiver.replay.arrivals import Arrival, OwnPaths, Paths, Stamps, batch, batches, usable
from receiver.replay.choice import Endpoint, choose, endpoints
from receiver.replay.player import Player
from receiver.replay.survey import Survey, survey
from receiver.report.snapshot import Snapshot
from receiver.session import SessionConfig

Log = Callable[[str], None]
_LINGER = 900_000_000
"""ns for which time goes on after the last packet: what is due falls due, and it is no silence yet."""
_STATUS = 1.0
"""s between two status lines."""
_BEGINNING = 1_000_000_000_000
"""monotonic ns at which the capture of another program begins; any will do."""
_CNAME = "replay"
_GARBAGE = 50_000
"""objects between two collections: few of them are garbage, and all are soon gone."""


def run(
    config: ReceiverConfig, path: str, *, log: Log, status: Callable[[Snapshot], None], stop: threading.Event
) -> tuple[int, dict[str, object]]:
    """Exit code and report. Raises FatalError when `path` is no capture, or it must be said which stream is meant."""
    gc.freeze()
    gc.set_threshold(_GARBAGE)
    file = CaptureFile(path)
    found = survey(file, stop)
    if file.damage is not None:
        log(f"{file.damage}: what is there is used")
    if found.gap:
        log(f"the disk was too slow for {found.gap} datagrams: they look lost here")
    try:
        return _Replay(config, file, found, log, status, stop).run()
    except Malformed as error:
        raise ResourceError(
            f"{path} was written by a version of Steadycast that this one does not know: {error}"
        ) from None


class _Replay:
    """One run over one capture."""

    def __init__(
        self,
        config: ReceiverConfig,
        file: CaptureFile,
        found: Survey,
        log: Log,
        status: Callable[[Snapshot], None],
        stop: threading.Event,
    ) -> None:
        self._file, self._found, self._log, self._stop = file, found, log, stop
        self._stamps = Stamps(_BEGINNING)
        self._show_status = status
        self._shown, self._seen = time.monotonic(), Snapshot(0.0)
        self._paths = Paths()
        self._exact = found.exact
        if self._exact:
            asked, began, self._offset = _as_recorded(found, config)
        else:
            _explain(found, file, log)
            asked = SessionConfig(
                formats(config), config.latency, config.ssrc, _CNAME, seed=0,
                wrapped=protection(config, RED), ulpfec=protection(config, ULPFEC),
            )  # fmt: skip
            in_red = {number: Format(RED, 90_000) for number in asked.wrapped}
            chosen = choose(file.path, found, {**asked.formats, **in_red}, config.ssrc, log)
            self._wanted = endpoints(chosen, config.listen.ports if config.formats is not None else ())
            self._offset = 0
            began = _BEGINNING
            assert found.first_time is not None  # it has a stream
            self._stamps = Stamps(began, began - (found.first_time if found.began is None else found.began))
        self._session = GatheringSession(asked, began)
        self._end = None if config.duration is None else began + config.duration
        self._player = Player(_measured_only(config, found, log), self._session, began, log, found)

    def run(self) -> tuple[int, dict[str, object]]:
        if self._exact:
            self._call_again()
        else:
            self._by_stamps(self._arrivals())
            self._linger()
        self._player.close()
        return self._player.conclude(self._facts())

    def _over(self, now: int) -> bool:
        if self._player.snapshot is not self._seen:  # once a second of the capture
            self._seen = self._player.snapshot
            if time.monotonic() - self._shown >= _STATUS:
                self._shown = time.monotonic()
                self._show_status(self._seen)
        return self._stop.is_set() or (self._end is not None and now >= self._end)

    # -- the recorded calls -----------------------------------------------------------------------------------

    def _call_again(self) -> None:
        """The very same calls in the same order. What has no call, because the file was cut, comes at its stamp."""
        waiting: deque[Arrival] = deque()
        paths = OwnPaths()
        for record in self._file.records():
            if isinstance(record, Packet):
                if not record.outbound:
                    waiting.append(paths.arrival(record, self._offset))
            elif isinstance(record, Note) and record.kind == journal.CALLS:
                for call in journal.decode(record.body):
                    if self._over(self._player.now):
                        return
                    self._again(call, waiting)
        if not self._player.closed:
            self._by_stamps(iter(waiting))

    def _again(self, call: journal.Call, waiting: deque[Arrival]) -> None:
        match call:
            case journal.Datagrams(now, packets):
                self._player.advance(now)
                together = batch([waiting.popleft() for _ in range(packets)], call)
                self._session.handle_datagrams(together, now)
            case journal.Timeout(now):
                self._player.advance(now)
                self._session.handle_timeout(now)
            case journal.Command("close", [int(now)]):
                self._player.close_session(now)
            case journal.Command("statistics", []):
                self._player.looked()
            case journal.Command():
                command(self._session, call)
            case journal.Gap():
                return
        self._player.deliver()

    # -- by stamps --------------------------------------------------------------------------------------------

    def _arrivals(self) -> Iterator[Arrival]:
        """What a receiver of the chosen streams would have been given."""
        unwrapper = Unwrapper()
        for record in self._file.records():
            if not isinstance(record, Packet):
                continue
            moment = self._stamps.monotonic(record.time)
            datagram = unwrapper.unwrap(record)
            if datagram is None or not self._is_wanted((datagram.destination, datagram.destination_port)):
                continue
            data = usable(datagram)
            if data is not None:
                yield Arrival(moment, self._paths.of(datagram), data)

    def _is_wanted(self, endpoint: Endpoint) -> bool:
        return endpoint in self._wanted

    def _by_stamps(self, arrivals: Iterator[Arrival]) -> None:
        for together in batches(arrivals):
            first, last = int(together.arrival_times[0]), int(together.arrival_times[-1])
            self._until(first)
            if self._over(first):
                return
            self._player.advance(last)
            self._session.handle_datagrams(together, last)
            self._player.deliver()

    def _until(self, moment: int) -> None:
        """Timers up to `moment`."""
        while (due := self._session.next_timeout()) <= moment and not self._over(due):
            due = max(due, self._player.now)
            self._player.advance(due)
            self._session.handle_timeout(due)
            self._player.deliver()

    def _linger(self) -> None:
        self._until(self._player.now + _LINGER)

    # -- facts ------------------------------------------------------------------------------------------------

    def _facts(self) -> dict[str, object]:
        """What the report says of the capture."""
        found, stamps = self._found, self._stamps
        return {
            "format": self._file.format,
            "packets": found.packets,
            "udp": found.datagrams,
            "snapped": found.snapped,
            "fragments_alone": found.unwrapper.fragments_alone,
            "clock_set": stamps.steps,
            "stamps_disordered": stamps.disordered,
            "dropped_by_capture": found.gap + found.dropped_by_interface,
            "damage": self._file.damage,
            "calls_recorded": self._exact,
        }


def _as_recorded(found: Survey, config: ReceiverConfig) -> tuple[SessionConfig, int, int]:
    """The session's own configuration, but for what is asked for now; when it began (monotonic ns), and how much more
    its wall clock showed. Raises Malformed."""
    assert found.session is not None
    try:
        asked = configuration(found.session["session"])
        began, offset = int(found.session["began"]), int(found.session["wall_offset"])
    except (KeyError, TypeError, ValueError) as error:
        raise Malformed("journal", f"it begins without {error}") from None
    if "latency" in config.given:
        asked = replace(asked, latency=config.latency)
    if "ssrc" in config.given:
        asked = replace(asked, ssrc=config.ssrc)
    if config.formats is not None or config.mapped:
        described = config.formats if config.formats is not None else asked.formats
        wrapped, ulpfec = protection(config, RED), protection(config, ULPFEC)
        if config.formats is None:
            wrapped += tuple(number for number in asked.wrapped if number not in config.mapped)
            ulpfec += tuple(number for number in asked.ulpfec if number not in config.mapped)
        asked = replace(asked, formats=playable({**described, **config.mapped}), wrapped=wrapped, ulpfec=ulpfec)
    return asked, began, offset


def _explain(found: Survey, file: CaptureFile, log: Log) -> None:
    """What the figures of this capture rest on, where it is not what one expects."""
    if found.session is not None:
        log(f"{file.path} was changed after it was captured: replayed by its stamps, not call by call")
    if found.dropped_by_interface:
        log(f"the capturing program missed {found.dropped_by_interface} packets: they look lost here")


def _measured_only(config: ReceiverConfig, found: Survey, log: Log) -> ReceiverConfig:
    """Without outputs where payloads are not whole."""
    if not found.snapped:
        return config
    log(f"{found.snapped} of {found.datagrams} datagrams were not captured whole: measured, not played")
    return replace(config, audio="none", video="none", record=None, picture=None)
