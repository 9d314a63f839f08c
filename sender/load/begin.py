"""`--load`: sessions that make their own traffic in place of sources and encoders."""

from __future__ import annotations

import base64
import random
import time
from collections.abc import Callable, Iterator

from protocol.errors import NoPeerError
from protocol.payload import registry
from protocol.payload.load import CLOCK_RATE, ENCODING
from protocol.rtp import HEADER_SIZE
from sender.config import Load, SenderConfig
from sender.feed import Outbox
from sender.load import patterns, report
from sender.load.search import Search
from sender.load.session import LoadSession
from sender.load.traffic import Traffic
from sender.network import Network
from sender.paths import TargetPaths
from sender.programme import Programme
from sender.report import report as own_report
from sender.secure import encrypt
from sender.transmit.stream import StreamConfig
from sender.transport import Transport

_FILLER = 65_536
_FRAME_RATE = 30.0
_RTCP_OF = 2_000_000
"""bit/s that RTCP's share is taken of at most: a report each sixth of a second is often enough."""

_OF_THE_SEARCH = "The search as a whole, which overloads the path on purpose:"

Log = Callable[[str], None]
Report = dict[str, object]


def connect(config: SenderConfig, load: Load, transport: Transport, log: Log) -> tuple[Network, list[LoadSession]]:
    """A running network thread, and the sessions it serves: one for each target."""
    now, wall = time.monotonic_ns(), time.time_ns()
    numbers = random.Random()
    cname = base64.b64encode(numbers.randbytes(12)).decode()
    sessions = [
        LoadSession(
            _stream(load, target, numbers), Traffic(_pattern(load, numbers), numbers.randbytes(_FILLER)),
            cname=cname, now=now, wall=wall, random=numbers, packet_size=packet_size(load), search=_search(load, log),
        )
        for target in transport.targets
    ]  # fmt: skip
    network = Network(
        transport, Programme(Outbox(1, transport.wake), ()), start=now, log=log, verbose=config.verbose > 0,
        report=lambda snapshot: conclude(load, sessions, 0, own_report(snapshot, config.given, None))[1],
    )  # fmt: skip
    encryptions = encrypt(config, transport.targets, log, now=now, wall=wall)
    for target, session, keys in zip(transport.targets, sessions, encryptions, strict=True):
        network.add(target, session, (0,), encryption=keys)
    network.start()
    return network, sessions


def conclude(load: Load, sessions: list[LoadSession], code: int, said: Report) -> tuple[int, Report]:
    """The sender's report with `load` and `find`; the exit code."""
    session = sessions[0]
    statistics = session.statistics(0).streams[0]
    plan = report.Plan(load.pattern, load.rate, packet_size(load), _calls(load))
    octets = statistics.octets + HEADER_SIZE * statistics.packets
    said["load"] = report.load(plan, octets, statistics.packets, session.seconds(), session.traffic.punctuality())
    if session.search is None:
        words = "" if code else report.load_verdict(said["load"], plan)  # type: ignore[arg-type]
        return code, said | {"verdict": f"{words} {said['verdict']}".strip()}
    found = session.search.result()
    said["find"] = report.find(found, packet_size(load), load.loss_bound)
    if code == 0 and not session.search.heard:
        error = (
            "--load find needs a receiver that answers, and no report came: run `python -m receiver` at the other end"
        )
        return NoPeerError.exit_code, said | {"error": error, "verdict": error}
    if code:
        return code, said
    words = report.find_verdict(found, packet_size(load))
    return code, said | {"verdict": f"{words} {_OF_THE_SEARCH} {said['verdict']}"}


def packet_size(load: Load) -> int:
    """Octets of UDP payload."""
    if load.packet_size is not None:
        return load.packet_size
    return patterns.CALL_PACKET if load.pattern == "voip" else 1200


def _calls(load: Load) -> int | None:
    if load.pattern != "voip" or load.rate is None:
        return None
    return patterns.calls(load.rate, packet_size(load))[0]


def _pattern(load: Load, numbers: random.Random) -> Iterator[patterns.Due]:
    size = packet_size(load)
    if load.rate is None:
        return patterns.even(_search(load, None).rate, size)  # type: ignore[union-attr]
    if load.pattern == "voip":
        return patterns.calls(load.rate, size)[1]
    if load.pattern == "video":
        return patterns.pictures(load.rate, size, load.fps or _FRAME_RATE, numbers)
    return patterns.even(load.rate, size)


def _search(load: Load, log: Log | None) -> Search | None:
    if load.rate is not None:
        return None
    told = None if log is None else lambda step: log(report.progress(step))
    return Search(packet_size(load), load.loss_bound, load.maximum, told)


def _stream(load: Load, target: TargetPaths, numbers: random.Random) -> StreamConfig:
    rate = load.rate or _RTCP_OF
    spread = round(patterns.SECOND / (load.fps or _FRAME_RATE)) if load.pattern == "video" else 0
    return StreamConfig(
        media="load",
        encoding=ENCODING,
        payload_type=next(pt for pt, row in registry.DEFAULT_PAYLOAD_TYPES.items() if row[0] == ENCODING),
        clock_rate=CLOCK_RATE,
        ssrc=numbers.randrange(1, 1 << 32),
        frame_interval=spread,
        bitrate=min(rate, _RTCP_OF),
        rtp_path=target.rtp("load"),
        rtcp_path=target.rtcp("load"),
    )
