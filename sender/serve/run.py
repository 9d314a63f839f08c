"""Sources → encoders → whoever comes: `serve`, from its first socket to its report."""

from __future__ import annotations

import base64
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from protocol.control.discovery.announcer import Announcer
from protocol.control.discovery.service import SENDS, Service
from protocol.control.listening import open_sockets
from protocol.control.loop import ControlThread
from protocol.errors import FatalError
from protocol.rtsp.url import Url
from sender.network import Network
from sender.pipeline import FAREWELL_S, Log, in_short_turns, watch
from sender.report import report
from sender.serve.agreeing import Agreeing
from sender.serve.application import Served
from sender.serve.config import ServeConfig
from sender.serve.control import Control
from sender.serve.presentation import Presentation
from sender.snapshot import Snapshot
from sender.transport import PortPair, Transport

_ANNOUNCE_AFTER_S = 1.0
"""not among what has to be quick."""
_HINT = "name another one: rtsp://:PORT/NAME"


def run(
    config: ServeConfig, *, log: Log, status: Callable[[Snapshot], None] | None, stop: threading.Event
) -> tuple[int, dict[str, Any]]:
    """Serve until the end; returns (exit code, JSON report). `status` gets a snapshot each second, `stop` ends cleanly.

    Raises FatalError for what can be seen before the first receiver: devices, files, codecs, ports.
    """
    with in_short_turns(), ExitStack() as stack:
        transport = Transport(config.media)
        stack.callback(transport.close)
        sockets = open_sockets(config.host, config.port, _HINT, config.media.family)
        for each in sockets:
            stack.callback(each.close)
        ports = _share(transport, sockets, config)
        own = _own(config, log)
        try:
            presentation = Presentation(config.media, transport.wake, log, stop)
        except FatalError:
            if stop.is_set():
                return 0, report(Snapshot(0.0), config.media.given, None)
            raise
        stack.callback(presentation.close)
        announcer = _announcer(config, sockets[0], None if own is None else own[1], log)
        stack.callback(announcer.close)
        network = _serve(config, transport, presentation, sockets, ports, own, stack, log)
        if not config.no_announce:
            announcer.start(_ANNOUNCE_AFTER_S)
        watch(network, config.media.duration, status, stop, lambda: config.exit_on_end and presentation.over)
        network.close()
        network.finished.wait(FAREWELL_S)
    return _outcome(config, network)


def _share(transport: Transport, sockets: Sequence[socket.socket], config: ServeConfig) -> Mapping[bool, PortPair]:
    """UDP ports for receivers, of each family in which they can connect."""
    listening = sockets[0]
    if listening.family == socket.AF_INET:
        families = {False: socket.AF_INET}
    elif listening.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY):
        families = {True: socket.AF_INET6}
    else:
        families = {False: socket.AF_INET, True: socket.AF_INET6}
    return {v6: transport.share(config.host, family, config.media_port) for v6, family in families.items()}


def _serve(
    config: ServeConfig,
    transport: Transport,
    presentation: Presentation,
    sockets: Sequence[socket.socket],
    ports: Mapping[bool, PortPair],
    own: tuple[ssl.SSLContext, str] | None,
    stack: ExitStack,
    log: Log,
) -> Network:
    """Everything running; `stack` ends it."""
    media = config.media
    network = Network(
        transport, presentation.programme, start=time.monotonic_ns(), log=log, verbose=media.verbose > 0, serves=True,
        report=lambda snapshot: report(snapshot, media.given, None),
    )  # fmt: skip
    group = transport.targets[0] if transport.targets else None
    agreeing = Agreeing(
        presentation.forms, ports, group=group, ttl=media.ttl, repair=media.repair.kind != "none",
        new_key=transport.new_key,
    )  # fmt: skip
    cname = base64.b64encode(random.randbytes(12)).decode()  # RFC 7022 §4.2: short-term persistent
    application = Served(config, network, presentation, agreeing, cname=cname, log=log)
    thread = ControlThread()
    stack.callback(thread.close)
    control = Control(
        thread, network, application, agreeing, tls=None if own is None else own[0],
        tls_only=config.tls_only, guard=config.security.guard(),
    )  # fmt: skip
    if presentation.live:
        presentation.begin()
    network.start()
    control.start(sockets)
    stack.callback(control.close)
    log(f"serving {_url(config, sockets)}")
    if own is not None:
        log(f"its certificate is SHA-256 {own[1]}")
    return network


def _own(config: ServeConfig, log: Log) -> tuple[ssl.SSLContext, str] | None:
    """For those who want TLS, and the fingerprint they see; None: nobody can have it, and nobody has to."""
    try:
        return config.security.own()
    except FatalError as error:
        if config.tls_only or config.security.cert is not None or config.security.key is not None:
            raise
        log(f"no rtsps:// here: {error}")
        return None


def _announcer(config: ServeConfig, listening: socket.socket, fingerprint: str | None, log: Log) -> Announcer:
    """Tells the network. `fingerprint`: None without TLS."""
    host, port = listening.getsockname()[:2]
    name, tls = f"{config.name} on {socket.gethostname()}", fingerprint is not None
    return Announcer(Service(name, port, SENDS, config.path, tls, fingerprint or ""), log, host)


def _url(config: ServeConfig, sockets: Sequence[socket.socket]) -> str:
    """For people: what others write."""
    host, scheme = config.host or socket.gethostname(), "rtsps" if config.tls_only else "rtsp"
    return str(Url(scheme, host, sockets[0].getsockname()[1], config.path))


def _outcome(config: ServeConfig, network: Network) -> tuple[int, dict[str, Any]]:
    snapshot = network.snapshot
    error = network.error
    if error is None and snapshot.sources and all(source.error for source in snapshot.sources):
        error = "; ".join(source.error for source in snapshot.sources if source.error)
    return (1 if error else 0), report(snapshot, config.media.given, error)
