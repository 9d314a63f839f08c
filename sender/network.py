"""The network thread: it alone touches transport and sessions. Feed, drain, send, sleep until something is due."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from protocol import peer_report
from protocol.datagram import Batch
from protocol.errors import ProtocolError
from sender.feed import Feed, Outbox
from sender.session import Event as SessionEvent
from sender.session import KeyFrameRequested, LossReported, PeerLeft, PeerReport, PeerSeen, RateLimited, SenderSession
from sender.snapshot import Event, Snapshot, TargetSnapshot
from sender.transmit.key_frames import KeyFrameGate
from sender.transmit.rate import VideoRate
from sender.transport import Path, Transport

_PUBLISH = 500_000_000  # ns between snapshots
_QUIET = 3_000_000_000  # ns without a refusal after which somebody listens: systems send few, but one a second
_MAX_EVENTS = 1000
_FALL = 0.95
"""of a limit, that is worth an event."""
_MAX_REPORTS = 64
"""of receivers, for each target."""


@dataclass(slots=True)
class _Target:
    name: str
    session: SenderSession
    first_sent: dict[Path, int] = field(default_factory=dict)
    """media paths in use → since when, monotonic ns."""
    last_sent: dict[Path, int] = field(default_factory=dict)
    refusals: dict[Path, int] = field(default_factory=dict)
    """media paths that refused → when they last did."""
    reached: bool = False
    """somebody answered, or took what was sent for a while without a refusal."""
    peers: dict[int, dict[str, Any]] = field(default_factory=dict)
    """receivers' reports, by SSRC."""
    limits: dict[int, int] = field(default_factory=dict)
    """bit/s of streams that are limited, as they were told: the highest since the last fall."""
    losses: dict[int, float] = field(default_factory=dict)
    """share of packets of a stream of sound that is lost and not repaired."""

    def handle_sent(self, path: Path, now: int) -> None:
        self.first_sent.setdefault(path, now)
        self.last_sent[path] = now

    def handle_refusal(self, path: Path, now: int) -> bool:
        """True when this path did not refuse until now."""
        before = self.refusals.get(path, 0)
        self.reached |= now - max(before, self.first_sent.get(path, now)) > _QUIET
        self.refusals[path] = now
        return now - before > _QUIET

    def refused(self) -> bool:
        """Every path that media takes refuses it at present."""
        return bool(self.last_sent) and all(
            self.refusals.get(path, 0) > sent - _QUIET for path, sent in self.last_sent.items()
        )

    def snapshot(self, now: int) -> TargetSnapshot:
        refused = self.refused()
        peers = tuple(self.peers.values())
        return TargetSnapshot(self.name, refused, self.reached or not refused, self.session.statistics(now), peers)


class Network:
    """Runs until every session has said goodbye. `close` and `snapshot` may be used from other threads."""

    def __init__(
        self,
        transport: Transport,
        sessions: Sequence[SenderSession],
        outbox: Outbox,
        feeds: Sequence[Feed[Any]],
        *,
        start: int,
        log: Callable[[str], None],
        verbose: bool = False,
        report: Callable[[Snapshot], Mapping[str, object]] | None = None,
    ) -> None:
        """A session for each of the transport's targets; a feed for each of their streams. `start`: monotonic ns;
        `verbose`: every event is a line of the log; `report`: what receivers get for theirs."""
        self._transport = transport
        self._targets = [_Target(to.name, session) for to, session in zip(transport.targets, sessions, strict=True)]
        self._outbox = outbox
        self._feeds = feeds
        self._gates = [KeyFrameGate() for _ in feeds]
        self._rates = [None if feed.rate is None else VideoRate(feed.rate[0]) for feed in feeds]
        self._start = start
        self._log = log
        self._verbose = verbose
        self._report = report
        self._events: list[Event] = []
        self._closing = threading.Event()
        self._next_snapshot = start
        self.snapshot = Snapshot(0.0)
        """of the last half second; the last one of all once `finished` is set."""
        self.finished = threading.Event()
        self.error: str | None = None
        """what ended the thread before its time."""
        self._thread = threading.Thread(target=self._run, name="network", daemon=True)

    def start(self) -> None:
        """Begin; `finished` is set at the end."""
        self._thread.start()

    def close(self) -> None:
        """Send what is queued, announce the end, then finish."""
        self._closing.set()
        self._transport.wake()

    def _run(self) -> None:
        try:
            arrived: list[tuple[int, Batch]] = []
            while not all(target.session.closed for target in self._targets):
                deadline = self._turn(arrived, time.monotonic_ns())
                arrived = self._transport.wait(deadline - time.monotonic_ns())
        except Exception as error:  # a mistake in the program: said by whoever waits for `finished`
            self.error = f"internal error: {type(error).__name__}: {error}"
        finally:
            self._publish(time.monotonic_ns())
            self.finished.set()

    def _turn(self, arrived: Sequence[tuple[int, Batch]], now: int) -> int:
        """One round of the loop; returns when the next is due, monotonic ns."""
        closing = self._closing.is_set() or self._outbox.ended
        for stream, unit in self._outbox.take():
            if unit.key_frame:
                self._gates[stream].key_frame()
            for target in self._targets:
                target.session.send(stream, unit, now)
        for index, batch in arrived:
            self._targets[index].session.handle_datagrams(batch, now)
        for target in self._targets:
            if closing:
                target.session.close(now)
            target.session.handle_timeout(now)
            self._drain(target, now)
        self._handle_refusals(now)
        self._ask_for_key_frames(now)
        if now >= self._next_snapshot:
            self._publish(now)
        return self._next_time()

    def _drain(self, target: _Target, now: int) -> None:
        output = target.session.poll(now)
        for transmission in output.transmissions:
            unsent = self._transport.send(transmission)
            if unsent:
                target.session.handle_unsent(unsent)
            path = transmission.path
            if isinstance(path, Path) and path.media:
                target.handle_sent(path, now)
        for event in output.events:
            self._handle_event(target, event, now)

    def _next_time(self) -> int:
        times = [self._next_snapshot]
        times += [time for target in self._targets if (time := target.session.next_timeout()) is not None]
        times += [time for gate in self._gates if (time := gate.next_time()) is not None]
        return min(times)

    def _handle_event(self, target: _Target, event: SessionEvent, now: int) -> None:
        match event:
            case KeyFrameRequested(stream, why):
                self._gates[stream].request()
                self._note(now, "key_frame_request", f"{why} at {target.name}")
            case RateLimited():
                self._limit(target, event, now)
            case LossReported(stream, share):
                target.losses[stream] = share
                self._feeds[stream].expect_loss(max(each.losses.get(stream, 0.0) for each in self._targets))
            case PeerSeen(ssrc):
                target.reached = True
                self._note(now, "peer_seen", f"{ssrc:#010x} at {target.name}", f"{target.name} answers")
            case PeerReport():
                self._handle_report(target, event, now)
            case PeerLeft(ssrc, reason):
                because = f": {reason}" if reason else ""
                line = f"{target.name} says goodbye{because}"
                self._note(now, "peer_left", f"{ssrc:#010x} at {target.name}{because}", line)

    def _limit(self, target: _Target, event: RateLimited, now: int) -> None:
        """Only pictures follow, and only if they are encoded here."""
        feed, rate = self._feeds[event.stream], self._rates[event.stream]
        self._tell_limit(target, event, now, follows=rate is not None)
        if feed.rate is None or rate is None:
            return
        rate.limit(target.name, event.bitrate)
        if (bitrate := rate.take()) is not None:
            feed.rate[1](bitrate)

    def _tell_limit(self, target: _Target, event: RateLimited, now: int, *, follows: bool) -> None:
        """Its beginning, each fall worth a word, and its end."""
        told, bitrate = target.limits.get(event.stream), event.bitrate
        if bitrate is None:
            if told is not None:
                del target.limits[event.stream]
                self._note(
                    now, "rate", f"no limit any more at {target.name}", f"{target.name} takes all of the video again"
                )
            return
        target.limits[event.stream] = bitrate if told is None else max(told, bitrate)
        if told is not None and bitrate > _FALL * told:
            return
        target.limits[event.stream] = bitrate
        takes = f"{target.name} takes {bitrate / 1000:.0f} kbit/s of the video: {event.why}"
        takes += "" if follows else "; what is copied cannot follow"
        self._note(now, "rate", takes, takes if told is None else None)

    def _handle_report(self, target: _Target, event: PeerReport, now: int) -> None:
        """A receiver has said how it went, and is told the same from here."""
        try:
            report = peer_report.unpack(event.data)
        except ProtocolError as error:
            self._note(now, "peer_report", f"{event.ssrc:#010x} at {target.name}: {error}")
        else:
            if event.ssrc in target.peers or len(target.peers) < _MAX_REPORTS:
                target.peers[event.ssrc] = report
        self._publish(now)
        target.session.offer_report(event.ssrc, self._own_report(target.session.report_limit), now)

    def _own_report(self, limit: int) -> bytes | None:
        """For a receiver; None when there is none, or none that small."""
        if self._report is None:
            return None
        try:
            return peer_report.pack(self._report(self.snapshot), limit)
        except ValueError:
            return None

    def _handle_refusals(self, now: int) -> None:
        for refusal in self._transport.unreachable():
            path, target = refusal.path, self._targets[refusal.path.target]
            if not path.media:
                continue
            if target.handle_refusal(path, now):
                where = f"{target.name} (port {path.address[1]}: {refusal.why})"
                gone = target.session.closed  # it has heard the goodbye, and need not listen any more
                self._note(now, "unreachable", where, None if gone else f"nobody listens at {where}; still sending")
            if target.refused():
                target.session.handle_unreachable(now)

    def _ask_for_key_frames(self, now: int) -> None:
        for gate, feed in zip(self._gates, self._feeds, strict=True):
            if gate.take(now):
                feed.request_key_frame()

    def _note(self, now: int, kind: str, why: str, line: str | None = None) -> None:
        """Into the report, and to the person when there is a line; a flood of events is cut off."""
        if len(self._events) >= _MAX_EVENTS:
            return
        self._events.append(Event((now - self._start) / 1e9, kind, why))
        if line is not None or self._verbose:
            self._log(line or f"{kind.replace('_', ' ')}: {why}")

    def _publish(self, now: int) -> None:
        self._next_snapshot = now + _PUBLISH
        self.snapshot = Snapshot(
            (now - self._start) / 1e9,
            tuple(target.snapshot(now) for target in self._targets),
            tuple(feed.snapshot() for feed in self._feeds),
            dict(self._transport.errors),
            tuple(self._events),
        )
