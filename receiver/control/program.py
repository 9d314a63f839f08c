"""What of RTSP a run needs: the port where senders announce themselves, or the presentation that is asked for."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence
from typing import Protocol

from protocol.command.versions import version
from protocol.control.discovery.announcer import Announcer
from protocol.control.discovery.service import RECEIVES, Service
from protocol.control.listening import open_sockets
from protocol.control.loop import ControlThread
from protocol.errors import FatalError, ResourceError
from receiver.config import ReceiverConfig
from receiver.control.playing import Player
from receiver.control.publications import Publications
from receiver.control.reception import Reception
from receiver.control.sparing import Sparing
from receiver.network import Network

Log = Callable[[str], None]
_HINT = "give the receiver another port"
_ANNOUNCE_AFTER = 1.0
"""s"""
_PARTING = 3.0
"""s between a goodbye and the end of its agreement."""
_PATIENCE = 3.0
"""s for the end of everything on the control thread."""


class Control(Protocol):
    """Runs beside the network thread."""

    def start(self) -> None: ...
    def parted(self, then: Callable[[], None]) -> None:
        """`then` is called once whoever has said goodbye has ended its agreement, as far as that is worth a wait."""

    def leave(self) -> None:
        """Those who send for us alone are told that we want no more, and say what they have sent."""

    def close(self) -> None:
        """Every connection is closed."""


def open_control(
    config: ReceiverConfig,
    network: Network,
    log: Log,
    over: Callable[[FatalError], None],
    failed: Callable[[Exception], None],
) -> Control | None:
    """`over`: there is no use in going on; `failed`: a mistake of ours. None where nothing of RTSP was asked for."""
    if config.listen.url is not None:
        return _Asking(config, network, log, over, failed)
    if config.listen.tcp is None:
        return None
    try:
        host = config.listen.host if config.listen.host is not None else config.bind
        sockets = open_sockets(host, config.listen.tcp, _HINT, config.family)
    except ResourceError as error:
        log(f"{error}; until then nobody can announce a stream here, plain RTP works")
        return None
    return _Listening(config, network, log, sockets, failed)


class _Listening:
    """Senders come to us."""

    def __init__(
        self, config: ReceiverConfig, network: Network, log: Log, sockets: Sequence[socket.socket],
        failed: Callable[[Exception], None],
    ) -> None:  # fmt: skip
        self._config, self._log, self._sockets = config, log, sockets
        self._thread = ControlThread(failed)
        spare = Sparing(log)
        self._publications = Publications(config, network, self._thread.post, spare)
        self._reception = Reception(self._publications, spare, guard=config.security.guard())
        self._announcer: Announcer | None = None

    def start(self) -> None:
        self._thread.call(self._start())

    def parted(self, then: Callable[[], None]) -> None:
        self._thread.call(self._part(then))

    async def _part(self, then: Callable[[], None]) -> None:
        end = asyncio.get_running_loop().time() + _PARTING
        while self._publications and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(0.05)
        then()

    async def _start(self) -> None:
        """TLS needs a moment until it is ready; whoever connects meanwhile waits."""
        try:
            tls, fingerprint = await asyncio.to_thread(self._config.security.own)
            if self._config.verbose:
                self._log(f"fingerprint of this machine's certificate: {fingerprint}")
        except FatalError as error:
            tls, fingerprint = None, ""
            self._log(f"no TLS here: {error}")
        await self._reception.start(self._sockets, tls)
        if not self._config.no_announce:
            self._announce(fingerprint)

    def _announce(self, fingerprint: str) -> None:
        """Tells the network, a moment later than what has to be quick."""
        host, port = self._sockets[0].getsockname()[:2]
        service = Service(socket.gethostname(), port, RECEIVES, tls=bool(fingerprint), fingerprint=fingerprint)
        self._announcer = Announcer(service, self._log, host)
        self._announcer.start(_ANNOUNCE_AFTER)

    def leave(self) -> None:
        """They go on, if they like."""

    def close(self) -> None:
        if self._announcer is not None:
            self._announcer.close()
        with contextlib.suppress(TimeoutError):
            self._thread.call(self._reception.close()).result(_PATIENCE)
        self._thread.close()


class _Asking:
    """We come to a server."""

    def __init__(
        self, config: ReceiverConfig, network: Network, log: Log, over: Callable[[FatalError], None],
        failed: Callable[[Exception], None],
    ) -> None:  # fmt: skip
        from protocol.control.client import Options  # reads certificates: not for who only listens

        security, how = config.security, {"family": config.family, "bind": config.bind}
        agent = f"Steadycast/{version() or 'dev'}"
        options = Options(security.trust(), security.password(), agent, how=how)
        self._thread = ControlThread(failed)
        self._over, self._failed = over, failed
        self._player = Player(config, network, self._thread.post, log, options)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._thread.call(self._start())

    def parted(self, then: Callable[[], None]) -> None:
        then()

    async def _start(self) -> None:
        self._task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        try:
            await self._player.run()
        except FatalError as error:
            self._over(error)
        except Exception as error:  # as on every other thread, a mistake ends the run
            self._failed(error)

    def leave(self) -> None:
        with contextlib.suppress(TimeoutError):
            self._thread.call(self._leave()).result(_PATIENCE)

    async def _leave(self) -> None:
        if self._task is not None:
            self._task.cancel()
        await self._player.leave()

    def close(self) -> None:
        self._thread.post(self._player.close)
        self._thread.close()
