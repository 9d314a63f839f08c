"""Sources → encoders → one session a destination → sockets, until the media end, `--duration` is over, or Ctrl-C."""

from __future__ import annotations

import base64
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

from protocol.errors import FatalError, NoPeerError
from sender import plan
from sender.config import Load, SenderConfig
from sender.description import describe, write_description
from sender.feed import Outbox
from sender.identity import OVERHEAD, Identity
from sender.load import begin
from sender.network import Network
from sender.paths import TargetPaths
from sender.programme import Programme
from sender.push import encrypting
from sender.push.program import Control
from sender.push.pushed import Pushed
from sender.report import report
from sender.secure import encrypt
from sender.session_maker import SessionMaker
from sender.snapshot import Snapshot
from sender.sources import open_sources
from sender.transmit.stream import StreamConfig
from sender.transport import Transport

_SECOND = 1_000_000_000
_SWITCH_INTERVAL_S = 0.0005
"""How long Python lets a busy thread keep the network thread waiting."""
_LOOK_S = 0.1
"""How often the calling thread looks whether something has ended; the network thread does not wait for it."""
FAREWELL_S = 6.0
"""more than transmit.farewell ever takes."""

Log = Callable[[str], None]


def run(
    config: SenderConfig, *, log: Log, status: Callable[[Snapshot], None] | None, stop: threading.Event
) -> tuple[int, dict[str, Any]]:
    """Send until the end; returns (exit code, JSON report). `status` gets a snapshot each second, `stop` ends cleanly.

    Raises FatalError for what can be seen before the first packet: names, devices, files, codecs, ports.
    """
    with in_short_turns(), closing(Transport(config)) as transport:
        return _run(config, transport, log, status, stop)


@contextmanager
def in_short_turns() -> Iterator[None]:
    """Threads that compute do not keep the network thread waiting."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _run(
    config: SenderConfig,
    transport: Transport,
    log: Log,
    status: Callable[[Snapshot], None] | None,
    stop: threading.Event,
) -> tuple[int, dict[str, Any]]:
    if config.load is not None:
        return _run_load(config, config.load, transport, log, status, stop)
    try:
        sources = open_sources(config, log, stop)
    except FatalError:
        if stop.is_set():
            return 0, report(Snapshot(0.0), config.given, None)
        raise
    try:
        made = plan.make(config, sources, log, described=config.sdp is not None)
        config = _with_encryption(config, transport, log)
        outbox = Outbox(len(made), transport.wake)
        network, control = _connect(config, transport, made, outbox, log)
    except BaseException:
        sources.close()
        raise
    feeds = [feed for feed, _ in made]
    try:
        network.start()
        control.start()
        if _settled(control, stop):
            for index, feed in enumerate(feeds):
                feed.start(outbox, index)
        watch(network, config.duration, status, stop, lambda: control.failed is not None)
    finally:
        for feed in feeds:
            feed.stop()
        network.close()
        network.finished.wait(FAREWELL_S)
        control.close()
        for feed in feeds:
            feed.join(1.0)
    return _outcome(config, network, control.failed)


def _with_encryption(config: SenderConfig, transport: Transport, log: Log) -> SenderConfig:
    """Hosts that take it are servers from now on; sockets for those that do not."""
    asked = encrypting.ask(config, log)
    for before, target in zip(config.targets, asked.targets, strict=True):
        if before.encryption != "no" and target.url is None:
            transport.targets = (*transport.targets, transport.open(target))
    return asked


def _settled(control: Control, stop: threading.Event) -> bool:
    """Whether somebody is there to have the media: servers have to be asked first."""
    while not control.settled.wait(_LOOK_S):
        if stop.is_set():
            return False
    return control.failed is None


def _run_load(
    config: SenderConfig,
    load: Load,
    transport: Transport,
    log: Log,
    status: Callable[[Snapshot], None] | None,
    stop: threading.Event,
) -> tuple[int, dict[str, Any]]:
    network, sessions = begin.connect(config, load, transport, log)
    try:
        watch(network, config.duration, status, stop)
    finally:
        network.close()
        network.finished.wait(FAREWELL_S)
    return begin.conclude(load, sessions, *_outcome(config, network))


def watch(
    network: Network,
    duration: int | None,
    status: Callable[[Snapshot], None] | None,
    stop: threading.Event,
    over: Callable[[], bool] = lambda: False,
) -> None:
    """Until something ends: the caller's `stop`, the time, or the media; or until it is `over`."""
    next_status = time.monotonic_ns() + _SECOND
    deadline = None if duration is None else time.monotonic_ns() + duration
    while not network.finished.is_set() and not over():
        now = time.monotonic_ns()
        if deadline is not None and now >= deadline:
            return
        if status is not None and now >= next_status:
            next_status += _SECOND
            status(network.snapshot)
        if stop.wait(_LOOK_S if deadline is None else min(_LOOK_S, (deadline - now) / _SECOND)):
            return


def _outcome(config: SenderConfig, network: Network, failed: FatalError | None = None) -> tuple[int, dict[str, Any]]:
    """`failed`: why nothing could be sent to any server."""
    snapshot = network.snapshot
    error, exit_code = network.error, 1
    if error is None and failed is not None:
        error, exit_code = str(failed), failed.exit_code
    if error is None and snapshot.targets and not any(target.reached for target in snapshot.targets):
        names = ", ".join(target.name for target in snapshot.targets)
        error, exit_code = f"nobody listens at {names}: start `python -m receiver` there first", NoPeerError.exit_code
    if error is None and snapshot.sources and all(source.error for source in snapshot.sources):
        error = "; ".join(source.error for source in snapshot.sources if source.error)
    return (exit_code if error else 0), report(snapshot, config.given, error)


# Where it is sent


def _connect(
    config: SenderConfig, transport: Transport, made: plan.Plan, outbox: Outbox, log: Log
) -> tuple[Network, Control]:
    """Sessions for all targets, and what asks servers to take what goes to them; neither runs yet."""
    now, wall = time.monotonic_ns(), time.time_ns()
    numbers = random.Random()
    cname = base64.b64encode(numbers.randbytes(12)).decode()  # RFC 7022 §4.2: short-term persistent
    forms, repair = [stream for _, stream in made], config.repair.kind != "none"
    network = Network(
        transport, Programme(outbox, [feed for feed, _ in made]), start=now, log=log, verbose=bool(config.verbose),
        report=lambda snapshot: report(snapshot, config.given, None),
    )  # fmt: skip
    maker = SessionMaker(config, cname, now, wall, numbers)
    streams = [_address(forms, target, numbers, repair=repair) for target in transport.targets]
    if config.sdp is not None:
        _describe(config, transport.targets, streams, cname, wall, log)
    encryptions = encrypt(config, transport.targets, log, now=now, wall=wall)
    for target, each, keys in zip(transport.targets, streams, encryptions, strict=True):
        session = maker.make(each, target.comes_from, overhead=keys.overhead if keys else 0)
        network.add(target, session, range(len(forms)), encryption=keys)
    pushed = [
        Pushed.of(transport.new_key(), target, forms, repair=repair, numbers=numbers)
        for target in config.targets
        if target.url is not None
    ]
    for one in pushed:
        session = maker.make(one.streams, one.comes_from, overhead=OVERHEAD if one.url.secure else 0)
        network.add(one.to, session, range(len(forms)), acknowledges=False, playing=False)
    return network, Control(pushed, network, config, cname, log, settled=bool(streams))


def _address(
    forms: Sequence[StreamConfig], target: TargetPaths, numbers: random.Random, *, repair: bool
) -> list[StreamConfig]:
    """The streams of one target, each with SSRCs of its own (RFC 3550 §8)."""
    streams = [Identity.new(numbers).given_to(form, repair=repair) for form in forms]
    if target.multicast:
        streams = [replace(stream, fec_ssrc=None) for stream in streams]
    return [replace(each, rtp_path=target.rtp(each.media), rtcp_path=target.rtcp(each.media)) for each in streams]


def _describe(
    config: SenderConfig,
    targets: Sequence[TargetPaths],
    streams: Sequence[Sequence[StreamConfig]],
    cname: str,
    wall: int,
    log: Log,
) -> None:
    assert config.sdp is not None
    key = None if config.key_file is None else config.key_file.media
    description = describe(targets[0], streams[0], cname=cname, ttl=config.ttl, session_id=wall // _SECOND, key=key)
    write_description(config.sdp, description, secret=key is not None)
    if not config.targets[0].classical and len(streams[0]) > 1:
        log(f"{config.sdp}: ffplay and GStreamer cannot take two streams on one port; send to rtp://HOST:PORT for them")
    if len(targets) > 1:
        log(f"{config.sdp} describes what goes to {targets[0].name}")
