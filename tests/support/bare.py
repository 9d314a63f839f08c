"""A receiver's network and control threads on real sockets, without outputs, in the test's own process."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from typing import Any

from protocol.control.loop import ControlThread
from receiver.config import Latency, Listen
from receiver.events import Event
from receiver.network import Network
from receiver.session import ReceiverSession, SessionConfig
from receiver.transport import open_transport


def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    """Waits for it; an AssertionError when it does not become true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


class Bare:
    """`lines` takes what is logged, `mistakes` what no thread should have raised."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.events: list[Event] = []
        self.mistakes: list[Exception] = []
        self.transport = open_transport(Listen(ports=()))
        session = ReceiverSession(SessionConfig({}, Latency(), seed=1), time.monotonic_ns())
        self.network = Network(
            self.transport,
            session,
            on_units=lambda _: None,
            on_event=self.events.append,
            on_failure=self.mistakes.append,
        )
        self.network.start()
        self.thread = ControlThread(self.mistakes.append)

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """On the control thread."""
        return self.thread.call(work).result(3)

    def arrived(self) -> dict[str, int]:
        """Packets that arrived, by encoding."""
        return {stream.format.encoding: stream.ledger.arrived for stream in self.network.ask().streams}

    def close(self) -> None:
        self.network.close()
        self.thread.close()
        self.transport.close()
        assert self.mistakes == []
