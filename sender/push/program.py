"""What of RTSP a run needs that sends to servers: a thread for the conversations with them."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence

from protocol.command.versions import version
from protocol.control.loop import ControlThread
from protocol.errors import FatalError
from sender.config import SenderConfig
from sender.destination import Destination
from sender.last_words import last_words
from sender.network import Network
from sender.push.conversation import Conversation
from sender.push.pushed import Pushed
from sender.push.pushing import Pusher

_PATIENCE_S = 3.0
"""for the end of everything on the control thread."""
Log = Callable[[str], None]


class Control:
    """Runs beside the network thread."""

    def __init__(
        self, pushed: Sequence[Pushed], network: Network, config: SenderConfig, cname: str, log: Log, *, settled: bool
    ) -> None:
        """`settled`: there are others who have the media, whatever becomes of these."""
        self._network, self._log = network, log
        self._pushed = pushed
        self.settled = threading.Event()
        """somebody can have the media, or nobody will."""
        self.failed: FatalError | None = None
        """nobody can be sent to, for this reason."""
        self._others = settled
        self._running: set[int] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._pushers: dict[int, Pusher] = {}
        self._thread: ControlThread | None = None
        if settled or not pushed:
            self.settled.set()
        if pushed:
            self._thread = ControlThread()
            self._pushers = self._make_pushers(config, cname)
            network.ending = self._tell_ending

    def _make_pushers(self, config: SenderConfig, cname: str) -> dict[int, Pusher]:
        from protocol.control.client import Options  # reads certificates: not for who speaks with no server

        assert self._thread is not None
        how = {"family": config.family, "bind": config.bind}
        security, post = config.security, self._thread.post
        options = Options(security.trust(), security.password(), f"Steadycast/{version() or 'dev'}", how=how)

        def make(one: Pushed) -> Pusher:
            return Pusher(
                lambda: Conversation(one, self._network, post, self._log, options, cname), self._log, self.settled.set
            )

        return {one.key: make(one) for one in self._pushed}

    def start(self) -> None:
        """Ask the servers."""
        if self._thread is not None:
            self._thread.call(self._start())

    def close(self) -> None:
        """Every server is told that we leave."""
        if self._thread is None:
            return
        with contextlib.suppress(TimeoutError):
            self._thread.call(self._close()).result(_PATIENCE_S)
        self._thread.close()

    async def _start(self) -> None:
        self._running = set(self._pushers)
        self._tasks = [asyncio.ensure_future(self._run(key, pusher)) for key, pusher in self._pushers.items()]

    async def _run(self, key: int, pusher: Pusher) -> None:
        try:
            await pusher.run()
        except FatalError as error:
            self._running.discard(key)
            self._network.call(lambda now: self._network.end(key, now, gone=True))
            if self._running or self._others:
                self._log(str(error))
            else:
                self.failed = error
                self.settled.set()

    async def _close(self) -> None:
        for pusher in self._pushers.values():
            pusher.ending = True
        await asyncio.gather(*(pusher.stop() for pusher in self._pushers.values()))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _tell_ending(self, destination: Destination) -> None:
        """On the network thread: the server hears of it in the connection, too."""
        pusher = self._pushers.get(destination.to.key)
        if pusher is None or self._thread is None:
            return
        pusher.ending = True
        if ranges := last_words(destination.session):
            self._thread.call(pusher.say(ranges))
