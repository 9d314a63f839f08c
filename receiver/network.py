"""The network thread: the one loop that feeds, drains and times the session. Nothing else touches it."""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from protocol.datagram import Batch, Transmission
from receiver.events import Event
from receiver.lanes import Lanes
from receiver.media import AccessUnit
from receiver.secure import Secure
from receiver.session import ReceiverSession, SessionStatistics
from receiver.transport import Transport, UdpPath

_LAST_WORDS = 1_000_000_000
"""ns in which reports are still exchanged when this end is the first to leave."""

_STEER = 50_000_000
"""ns between looks at which senders are known."""

_T = TypeVar("_T")
Command = Callable[[ReceiverSession], None]


class Network:
    """Runs a session on its transport; other threads speak to it through `call` and `statistics`."""

    def __init__(
        self,
        transport: Transport,
        session: ReceiverSession,
        *,
        on_units: Callable[[list[AccessUnit]], None],
        on_event: Callable[[Event], None],
        on_failure: Callable[[Exception], None],
        secure: Secure | None = None,
    ) -> None:
        self._transport, self._session = transport, session
        self.secure = secure or Secure(None, lambda _: None)
        """what is encrypted, and how; used on the network thread."""
        self._on_units, self._on_event, self._on_failure = on_units, on_event, on_failure
        self._commands: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._given = self._done = 0
        """commands."""
        transport.lanes.commands = lambda: self._given
        self._closing = self._leaving = False
        self._ended = threading.Event()
        self._statistics = session.statistics()
        self._steer_at = 0
        self._thread = threading.Thread(target=self._run, name="network", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def call(self, command: Command) -> None:
        """Runs `command` on the network thread, soon."""
        with self._lock:
            self._commands.put(command)
            self._given += 1
        self._transport.wake()

    def ask(self, timeout: float = 2.0) -> SessionStatistics:
        """A fresh snapshot, taken on the network thread; the one before if that thread does not answer."""
        answered = threading.Event()

        def take(session: ReceiverSession) -> None:
            self._statistics = session.statistics()
            answered.set()

        if self._thread.is_alive():
            self.call(take)
            answered.wait(timeout)
        return self._statistics

    def query(self, read: Callable[[ReceiverSession], _T]) -> Future[_T]:
        """What `read` returns on the network thread; never done when that thread has ended."""
        future: Future[_T] = Future()

        def answer(session: ReceiverSession) -> None:
            if future.set_running_or_notify_cancel():
                future.set_result(read(session))

        self.call(answer)
        return future

    @property
    def ssrc(self) -> int:
        """Of our reports."""
        return self._session.ssrc

    @property
    def lanes(self) -> Lanes:
        """For packets of TCP connections; may be used on any thread."""
        return self._transport.lanes

    def uses(self, port: int) -> bool:
        """Whether it is one of ours, or the number of a lane."""
        return port in self._transport.ports or port in self._transport.lanes

    def add(self, sock: socket.socket) -> None:
        """A bound UDP socket, on a port that is not used here, is read from now on."""
        self.call(lambda _: self._transport.add(sock))

    def remove(self, port: int) -> None:
        """One of our UDP ports is closed."""
        self.call(lambda _: self._transport.remove(port))

    def transmit(self, transmission: Transmission) -> None:
        """Sends datagrams beside the session's."""
        self.call(lambda _: self._send(transmission))

    def end(self, timeout: float = 3.0) -> None:
        """Drains the socket, closes the session, hands out the rest. Until `close`, reports may still be offered."""
        self._closing = True
        self._transport.wake()
        self._ended.wait(timeout)

    def close(self, timeout: float = 3.0) -> None:
        """Lets reports be exchanged, for a second at most, and leaves."""
        self._closing = self._leaving = True
        self._transport.wake()
        self._thread.join(timeout)

    def _run(self) -> None:
        try:
            while not self._closing:
                self._turn(self._session.next_timeout())
            self._turn(time.monotonic_ns())
            self._session.close(time.monotonic_ns())
            self._deliver()
            self._ended.set()
            while not self._leaving:
                self._turn(self._session.next_timeout())
            self._turn(time.monotonic_ns())
            self._exchange_reports(time.monotonic_ns() + _LAST_WORDS)
            self._session.leave()
            self._deliver()
            self._statistics = self._session.statistics()
        except Exception as error:
            self._on_failure(error)
        finally:
            self._ended.set()

    def _exchange_reports(self, until: int) -> None:
        while (now := time.monotonic_ns()) < until and not self._session.settled(now):
            self._turn(min(until, self._session.next_timeout()))

    def _turn(self, until: int) -> None:
        batches = self._transport.receive(until)
        now = time.monotonic_ns()
        heard = self._handle(batches, now) + self._handle(self.lanes.take(self._done), now)
        while not self._commands.empty():
            self._commands.get()(self._session)
            self._done += 1
            heard += self._handle(self.lanes.take(self._done), now)
        if not heard or now >= self._session.next_timeout():
            self._session.handle_timeout(now)
        self._deliver()
        if now >= self._steer_at:
            self._steer_at = now + _STEER
            self._transport.steer({path for path in self._session.known_paths(now) if isinstance(path, UdpPath)})

    def _handle(self, batches: list[Batch], now: int) -> int:
        """How many they are."""
        for batch in batches:
            for answer in self.secure.receive(self._session, batch, now):
                self._transport.send(answer)
        return len(batches)

    def _deliver(self) -> None:
        output = self._session.poll()
        for event in output.events:
            self._on_event(event)
        if output.units:
            self._on_units(output.units)
        for transmission in output.transmissions:
            self._send(transmission)

    def _send(self, transmission: Transmission) -> None:
        for sealed in self.secure.seal(transmission, time.monotonic_ns()):
            self._transport.send(sealed)
