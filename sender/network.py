"""The network thread: it alone touches transport and sessions. Feed, drain, send, sleep until something is due.

Destinations come and go while it runs; a turn looks only at those to whom something happened or is due.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import replace
from typing import Any, TypeVar

from protocol import peer_report
from protocol.datagram import Batch, Transmission
from protocol.errors import ProtocolError, ResourceError
from protocol.srtp.encryption import Encryption
from sender.agenda import Agenda
from sender.destination import Destination
from sender.journal import Journal
from sender.paths import Path, Route, TargetPaths
from sender.programme import Programme
from sender.secure import Secured
from sender.session import Event as SessionEvent
from sender.session import KeyFrameRequested, LossReported, PeerLeft, PeerReport, PeerSeen, RateLimited, SenderSession
from sender.snapshot import Snapshot, TargetSnapshot
from sender.transport import Transport

_PUBLISH = 500_000_000
"""ns between snapshots of few destinations;"""
_OFTEN = 50
"""of more than these, in proportion: a snapshot costs by their number."""
_MAX_PAST = 1000
"""destinations that are over and stay in the report; of more, only the number."""

T = TypeVar("T")
Command = Callable[[int], None]
"""Something to be done on the network thread; it is told the time."""


class Network:
    """Runs until every session has said goodbye; one that serves, until it is closed too. `call`, `ask`, `close` and
    `snapshot` may be used from other threads, everything else only before `start` or within a command."""

    def __init__(
        self,
        transport: Transport,
        programme: Programme,
        *,
        start: int,
        log: Callable[[str], None],
        verbose: bool = False,
        report: Callable[[Snapshot], Mapping[str, object]] | None = None,
        serves: bool = False,
    ) -> None:
        """`start`: monotonic ns; `verbose`: every event is a line of the log; `report`: what receivers get for theirs;
        `serves`: it waits for destinations when there are none, and the end of the media is the end of their sessions,
        not its own."""
        self.transport = transport
        self.journal = Journal(start, log, verbose=verbose)
        self.destinations: dict[int, Destination] = {}
        """by their targets' keys, but for those that are over in a network that serves."""
        self.ending: Callable[[Destination], None] = lambda _: None
        """told of each one whose session begins to say goodbye,"""
        self.ended: Callable[[Destination], None] = lambda _: None
        """and of each one whose session is over; on the network thread."""
        self._programme = programme
        self._reporters: dict[int, int] = {}
        """receivers that have proved themselves, by SSRC, and the keys of their targets."""
        self._agenda = Agenda()
        self._touched: set[int] = set()
        self._open = 0
        self._past: deque[TargetSnapshot] = deque(maxlen=_MAX_PAST)
        self._start = start
        self._report = report
        self._serves = serves
        self._commands: deque[Command] = deque()
        self._unanswered: set[Future[Any]] = set()
        self._closing = threading.Event()
        self._closed_all = False
        self._said_over: Programme | None = None
        """whose end has been announced."""
        self._next_snapshot = start
        self.snapshot = Snapshot(0.0)
        """of the last half second; the last one of all once `finished` is set."""
        self.finished = threading.Event()
        self.error: str | None = None
        """what ended the thread before its time."""
        self._thread = threading.Thread(target=self._run, name="network", daemon=True)

    # From other threads

    def start(self) -> None:
        """Begin; `finished` is set at the end."""
        self._thread.start()

    def call(self, command: Command) -> None:
        """Have something done on the network thread."""
        self._commands.append(command)
        self.transport.wake()

    def ask(self, question: Callable[[int], T]) -> Future[T]:
        """The answer that the network thread gives; a mistake in it is the asker's. ResourceError once that thread is
        gone."""
        answer: Future[T] = Future()
        self._unanswered.add(answer)

        def command(now: int) -> None:
            try:
                answer.set_result(question(now))
            except Exception as error:
                answer.set_exception(error)
            self._unanswered.discard(answer)

        self.call(command)
        if self.finished.is_set():
            self._refuse()
        return answer

    def _refuse(self) -> None:
        """Nobody will answer any more."""
        while self._unanswered:
            with contextlib.suppress(KeyError, InvalidStateError):
                self._unanswered.pop().set_exception(ResourceError("it is over"))

    def close(self) -> None:
        """Send what is queued, announce the end, then finish."""
        self._closing.set()
        self.transport.wake()

    # Commands

    def add(
        self,
        to: TargetPaths,
        session: SenderSession,
        feeds: Sequence[int],
        *,
        context: object = None,
        acknowledges: bool = True,
        playing: bool = True,
        encryption: Encryption | None = None,
    ) -> None:
        """A destination, to which media goes from now on, or from `play` on. `feeds`: of each of the session's streams,
        the one that it comes from; `context`: whatever whoever hears of its end wants to know then; `acknowledges`: it
        may answer the final range; `encryption`: None where there is none. One with the same key is replaced."""
        if (before := self.destinations.pop(to.key, None)) is not None:
            self._open -= 1
            self._past.append(replace(before.snapshot(time.monotonic_ns()), left=True))
        secured = self._secured(encryption, to.name)
        self.destinations[to.key] = Destination(to, session, feeds, context, acknowledges, secured, playing)
        self._touched.add(to.key)
        self._open += 1

    def encrypt(self, key: int, encryption: Encryption | None) -> None:
        """What goes to this destination is encrypted in this way from now on; None: not at all."""
        if (destination := self.destinations.get(key)) is not None:
            destination.secured = self._secured(encryption, destination.name)

    def _secured(self, encryption: Encryption | None, name: str) -> Secured | None:
        self.transport.keeps_strays |= encryption is not None
        return None if encryption is None else Secured(encryption, name, self.journal.say)

    def play(self, key: int) -> None:
        """Media goes to this destination from now on, beginning with a key frame."""
        if (destination := self.destinations.get(key)) is not None:
            destination.playing = True
            self.restart(key)

    def restart(self, key: int) -> None:
        """What was sent to this destination cannot be gone on from: it gets nothing before the next key frame."""
        if (destination := self.destinations.get(key)) is not None:
            destination.waiting = set(destination.feeds)
            self.refresh(key)

    def refresh(self, key: int) -> None:
        """Somebody joins there who has nothing to go on from."""
        if (destination := self.destinations.get(key)) is not None:
            for feed in destination.feeds:
                self._programme.request_key_frame(feed)

    def pause(self, key: int) -> None:
        """No media goes to this destination until `play`."""
        if (destination := self.destinations.get(key)) is not None:
            destination.playing = False

    def is_open(self, key: int) -> bool:
        """Whether its session takes media."""
        return key in self.destinations and not self.destinations[key].session.ending

    def drop(self, key: int, feed: int) -> None:
        """This destination does not want this feed any more."""
        if (destination := self.destinations.get(key)) is not None:
            destination.unwanted.add(feed)

    def end(self, key: int, now: int, *, gone: bool = False) -> None:
        """Say goodbye to this destination; `gone`: nobody is there to acknowledge it."""
        destination = self.destinations.get(key)
        if destination is not None:
            destination.playing = False
            if not destination.session.ending:
                destination.session.close(now)
                self.ending(destination)
            if gone or not destination.acknowledges:
                destination.session.handle_unreachable(now)
            self._touched.add(key)

    def told(self, key: int, now: int) -> None:
        """This destination has acknowledged the final ranges in its control connection."""
        if (destination := self.destinations.get(key)) is not None:
            destination.session.handle_told(now)
            self._touched.add(key)

    def receive(self, key: int, datagrams: Sequence[bytes], path: Hashable, now: int) -> None:
        """Datagrams that came another way than through the transport's sockets."""
        self._hand_in(key, Batch.of(datagrams, now, path), now)

    def change(self, programme: Programme) -> None:
        """Send something else from now on."""
        self._programme = programme

    # The loop

    def _run(self) -> None:
        try:
            arrived: list[tuple[int, Batch]] = []
            while not self._over():
                deadline = self._turn(arrived, time.monotonic_ns())
                arrived = self.transport.wait(deadline - time.monotonic_ns())
        except Exception as error:  # a mistake in the program: said by whoever waits for `finished`
            self.error = f"internal error: {type(error).__name__}: {error}"
        finally:
            self._publish(time.monotonic_ns())
            self.finished.set()
            self._refuse()

    def _over(self) -> bool:
        return not self._open and (self._closed_all or not self._serves)

    def _turn(self, arrived: Sequence[tuple[int, Batch]], now: int) -> int:
        """One round of the loop; returns when the next is due, monotonic ns."""
        while self._commands:
            self._commands.popleft()(now)
        over = self._programme.ended and self._programme is not self._said_over
        self._feed(now)
        for key, batch in arrived:
            self._hand_in(key, batch, now)
        for batch in self.transport.take_strays():
            self._recognise(batch, now)
        if over or (self._closing.is_set() and not self._closed_all):
            self._end_all(now)
        self._touched.update(self._agenda.take(now))
        touched, self._touched = self._touched, set()
        for key in touched:
            if (destination := self.destinations.get(key)) is not None:
                self._attend(destination, now)
        self._handle_refusals(now)
        self._programme.ask(now)
        if now >= self._next_snapshot:
            self._publish(now)
        return self._next_time()

    def _feed(self, now: int) -> None:
        for feed, unit in self._programme.take():
            for key, destination in self.destinations.items():
                if (stream := destination.takes(feed, key_frame=unit.key_frame)) is not None:
                    destination.session.send(stream, unit, now)
                    self._touched.add(key)

    def _hand_in(self, key: int, batch: Batch, now: int) -> None:
        destination = self.destinations.get(key)
        if destination is None:
            return
        if destination.secured is None:
            destination.session.handle_datagrams(batch, now)
        elif not self._unseal(destination, destination.secured, batch, now):
            return
        destination.heard = now
        self._touched.add(key)

    def _unseal(self, destination: Destination, secured: Secured, batch: Batch, now: int) -> bool:
        """False where nothing of it is authentic."""
        if not secured.receive(destination.session, batch, now):
            return False
        if secured.reporter is not None:
            self._reporters[secured.reporter] = destination.to.key
        if secured.moved and not destination.to.multicast:
            self._follow(destination, batch.path, now)
        return True

    def _recognise(self, batch: Batch, now: int) -> None:
        """Somebody at shared ports whom the transport does not know: who proves to be a receiver is somewhere else
        now."""
        for index in range(len(batch)):
            datagram = batch.datagram(index)
            if len(datagram) > 8 and (key := self._reporters.get(int.from_bytes(datagram[4:8]))) is not None:
                self._hand_in(key, Batch.of([datagram], now, batch.path), now)

    def _follow(self, destination: Destination, to: Hashable, now: int) -> None:
        """Its receiver reports from another address."""
        if isinstance(to, tuple) and self.transport.follow(destination.to.key, to):
            why = f"{destination.name} is at {to[0]}, port {to[1]}"
            self.journal.note(now, "moved", why, f"{why} now")

    def _end_all(self, now: int) -> None:
        """The media have ended, or the program is to."""
        self._closed_all = self._closing.is_set()
        if self._programme.ended:
            self._said_over = self._programme
        for key, destination in self.destinations.items():
            if destination.playing or self._closed_all:
                self.end(key, now)

    def _attend(self, destination: Destination, now: int) -> None:
        session, key = destination.session, destination.to.key
        was_closed = session.closed
        session.handle_timeout(now)
        self._drain(destination, now)
        self._agenda.set(key, session.next_timeout())
        if session.closed and not was_closed:
            self._open -= 1
            if self._serves:
                self._remove(destination, now)

    def _remove(self, destination: Destination, now: int) -> None:
        key = destination.to.key
        del self.destinations[key]
        if destination.secured is not None:
            self._reporters = {ssrc: of for ssrc, of in self._reporters.items() if of != key}
        self._past.append(replace(destination.snapshot(now), left=True))
        self._programme.forget(key)
        self.ended(destination)

    def _drain(self, destination: Destination, now: int) -> None:
        output = destination.session.poll(now)
        for transmission in output.transmissions:
            unsent = self._send(destination, transmission, now)
            if unsent:
                destination.session.handle_unsent(unsent)
            path = transmission.path.via if isinstance(transmission.path, Route) else transmission.path
            if isinstance(path, Path) and path.media:
                destination.handle_sent(path, now)
        for event in output.events:
            self._handle_event(destination, event, now)

    def _send(self, destination: Destination, transmission: Transmission, now: int) -> list[bytes]:
        """What the system, or the connection, did not take."""
        secured = destination.secured
        if secured is None:
            return self.transport.send(transmission)
        sealed = secured.seal(transmission, now)
        return secured.unsealed(datagram for each in sealed for datagram in self.transport.send(each))

    def _next_time(self) -> int:
        if self._commands:
            return 0
        times = (self._next_snapshot, self._agenda.next_time(), self._programme.next_time())
        return min(time for time in times if time is not None)

    # What receivers say

    def _handle_event(self, destination: Destination, event: SessionEvent, now: int) -> None:
        name, key = destination.name, destination.to.key
        match event:
            case KeyFrameRequested(stream, why):
                self._programme.request_key_frame(destination.feeds[stream])
                self.journal.note(now, "key_frame_request", f"{why} at {name}")
            case RateLimited():
                self._limit(destination, event, now)
            case LossReported(stream, share):
                self._programme.lose(destination.feeds[stream], key, share)
            case PeerSeen(ssrc):
                destination.reached = True
                line = None if self._serves else f"{name} answers"  # who asked for media is known to be there
                self.journal.note(now, "peer_seen", f"{ssrc:#010x} at {name}", line)
            case PeerReport():
                self._handle_report(destination, event, now)
            case PeerLeft(ssrc, reason):
                because = f": {reason}" if reason else ""
                line = None if self._serves else f"{name} says goodbye{because}"
                self.journal.note(now, "peer_left", f"{ssrc:#010x} at {name}{because}", line)

    def _limit(self, destination: Destination, event: RateLimited, now: int) -> None:
        feed = destination.feeds[event.stream]
        said = destination.note_limit(event, follows=self._programme.follows(feed))
        if said is not None:
            self.journal.note(now, "rate", *said)
        self._programme.limit(feed, destination.to.key, event.bitrate)

    def _handle_report(self, destination: Destination, event: PeerReport, now: int) -> None:
        """A receiver has said how it went, and is told the same from here."""
        try:
            report = peer_report.unpack(event.data)
        except ProtocolError as error:
            self.journal.note(now, "peer_report", f"{event.ssrc:#010x} at {destination.name}: {error}")
        else:
            destination.keep_report(event.ssrc, report)
        limit = destination.session.report_limit
        destination.session.offer_report(event.ssrc, self._report_for(destination, limit, now), now)

    def _report_for(self, destination: Destination, limit: int, now: int) -> bytes | None:
        """What a receiver is told: of what goes to its own address. None when there is none, or none that small."""
        if self._report is None:
            return None
        try:
            return peer_report.pack(self._report(self._snapshot([destination.snapshot(now)], now)), limit)
        except ValueError:
            return None

    def _handle_refusals(self, now: int) -> None:
        for refusal in self.transport.unreachable():
            path, destination = refusal.path, self.destinations.get(refusal.path.target)
            if destination is None or not path.media:
                continue
            if destination.handle_refusal(path, now):
                where = f"{destination.name} (port {path.address[1]}: {refusal.why})"
                gone = destination.session.closed  # it has heard the goodbye, and need not listen any more
                line = None if gone else f"nobody listens at {where}; still sending"
                self.journal.note(now, "unreachable", where, line)
            if destination.refused():
                destination.session.handle_unreachable(now)
                self._touched.add(destination.to.key)

    def _publish(self, now: int) -> None:
        self._next_snapshot = now + _PUBLISH * (1 + len(self.destinations) // _OFTEN)
        present = [destination.snapshot(now) for destination in self.destinations.values()]
        self.snapshot = self._snapshot([*self._past, *present], now)

    def _snapshot(self, targets: Sequence[TargetSnapshot], now: int) -> Snapshot:
        return Snapshot(
            (now - self._start) / 1e9,
            tuple(targets),
            self._programme.snapshot(),
            dict(self.transport.errors),
            self.journal.events(),
        )
