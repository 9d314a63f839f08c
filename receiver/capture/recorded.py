"""A session that tells a capture everything that is asked of it."""

from __future__ import annotations

import base64
import secrets
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, astuple, fields, replace
from typing import Any

from protocol.datagram import Batch
from protocol.errors import Malformed
from protocol.rtcp.range import SenderRange
from protocol.srtp.refused import Refused
from receiver.capture import journal
from receiver.capture.headers import plain
from receiver.capture.writing import Capture
from receiver.config import Latency
from receiver.gathering import GatheringSession
from receiver.media import Format, StreamKey
from receiver.payload_types import PayloadTypes
from receiver.session import ReceiverSession, SessionConfig, SessionOutput, SessionStatistics
from receiver.transport import UdpPath

_NOTHING = Batch.of([], 0)
_TOGETHER = 1000
"""replayed packets in one record."""


class RecordedSession(GatheringSession):
    """A GatheringSession in everything. Each call goes to the capture first: a replay makes it again."""

    def __init__(self, config: SessionConfig, now: int, capture: Capture, facts: Mapping[str, object]) -> None:
        """The capture keeps the seed, so there must be one: without, one is drawn. `facts` beside the configuration."""
        if config.seed is None:
            config = replace(config, seed=secrets.randbits(64))
        super().__init__(config, now)
        self._capture = capture
        self._now = now
        self._told_latency: dict[str, int] = {}
        capture.begin({"session": described(config), **facts}, now)

    def handle_datagrams(self, batch: Batch, now: int) -> None:
        self._now = now
        if len(batch):
            self._record(batch, now)
        else:
            told = [now, batch.kernel_drops, batch.drops_exact, *_address(batch.path)]
            self._capture.call(journal.Command("steered_drops" if batch.steered else "drops", told))
        super().handle_datagrams(batch, now)

    def _record(self, batch: Batch, now: int) -> None:
        view = batch.buffer.data
        places = zip(batch.offsets.tolist(), batch.lengths.tolist(), strict=True)
        packets = [bytes(view[start : start + length]) for start, length in places]
        told = batch.kernel_drops, batch.drops_exact, batch.steered, batch.authentic
        call = journal.Datagrams(now, len(packets), *told)
        self._capture.call(call, packets, batch.arrival_times.tolist(), batch.path)

    def refuse(self, refused: Refused, now: int) -> None:
        self._now = now
        replayed = refused.replayed
        told = [dict(refused.reasons), [*refused.corrupted.items()], replayed[:_TOGETHER]]
        self._capture.call(journal.Command("refuse", [now, *told]))
        for at in range(_TOGETHER, len(replayed), _TOGETHER):
            self._capture.call(journal.Command("refuse", [now, {}, [], replayed[at : at + _TOGETHER]]))
        super().refuse(refused, now)

    def handle_timeout(self, now: int) -> None:
        self._now = now
        self._capture.call(journal.Timeout(now))
        super().handle_timeout(now)

    def request_key_frame(self, key: StreamKey, why: str) -> None:
        self._capture.call(journal.Command("request_key_frame", [key.ssrc, key.epoch, why]))
        super().request_key_frame(key, why)

    def set_device_latency(self, media: str, latency: int) -> None:
        if self._told_latency.get(media) != latency:
            self._told_latency[media] = latency
            self._capture.call(journal.Command("set_device_latency", [media, latency]))
        super().set_device_latency(media, latency)

    def offer_report(self, to: int, data: bytes, path: Hashable, now: int) -> None:
        self._now = now
        told = [to, base64.b64encode(data).decode(), now, *_address(path)]
        self._capture.call(journal.Command("offer_report", told))
        super().offer_report(to, data, path, now)

    def describe(self, ports: Iterable[int], types: PayloadTypes) -> None:
        ports = list(ports)
        self._capture.call(journal.Command("describe", [ports, _types(types)]))
        super().describe(ports, types)

    def forget(self, ports: Iterable[int], now: int, why: str = "") -> None:
        ports, self._now = list(ports), now
        self._capture.call(journal.Command("forget", [ports, now, why]))
        super().forget(ports, now, why)

    def final_range(self, ports: Iterable[int], sent: SenderRange, now: int) -> None:
        ports, self._now = list(ports), now
        self._capture.call(journal.Command("final_range", [ports, astuple(sent), now]))
        super().final_range(ports, sent, now)

    def leave(self) -> None:
        self._capture.call(journal.Command("leave", []))
        super().leave()

    def close(self, now: int) -> None:
        self._now = now
        self._capture.call(journal.Command("close", [now]))
        super().close(now)

    def statistics(self) -> SessionStatistics:
        self._capture.call(journal.Command("statistics", []))
        return super().statistics()

    def poll(self) -> SessionOutput:
        output = super().poll()
        for transmission in output.transmissions:
            self._capture.sent(transmission.datagrams, self._now, transmission.path)
        return output


def command(session: ReceiverSession, call: journal.Command) -> None:
    """Makes a recorded call again. Raises Malformed where it is none that a session knows."""
    try:
        match call:
            case journal.Command("request_key_frame", [int(ssrc), int(epoch), str(why)]):
                session.request_key_frame(StreamKey(ssrc, epoch), why)
            case journal.Command("set_device_latency", [str(media), int(latency)]):
                session.set_device_latency(media, latency)
            case journal.Command("close", [int(now)]):
                session.close(now)
            case journal.Command("statistics", []):
                session.statistics()
            case journal.Command("leave", []):
                session.leave()
            case journal.Command("refuse", [int(now), dict(reasons), list(corrupted), list(replayed)]):
                session.refuse(_refused(reasons, corrupted, replayed), now)
            case journal.Command("describe", [list(ports), dict(types)]):
                session.describe(map(int, ports), PayloadTypes(**_known(types)))
            case journal.Command("final_range", [list(ports), list(sent), int(now)]):
                session.final_range(map(int, ports), SenderRange(*sent), now)
            case journal.Command("forget", [list(ports), int(now), str(why)]):
                session.forget(map(int, ports), now, why)
            case journal.Command("offer_report", [int(to), str(data), int(now), int(port), *address]):
                session.offer_report(to, base64.b64decode(data), UdpPath(port, tuple(address)), now)
            case journal.Command(
                "drops" | "steered_drops" as name, [int(now), int(drops), bool(exact), int(port), *address]
            ):
                path, steered = UdpPath(port, tuple(address)), name == "steered_drops"
                session.handle_datagrams(
                    replace(_NOTHING, path=path, kernel_drops=drops, drops_exact=exact, steered=steered), now
                )
            case _:
                raise Malformed("journal", f"no call {call.name!r}")
    except (KeyError, TypeError, OverflowError, ValueError, AttributeError) as error:
        raise Malformed("journal", f"{call.name}: {error}") from None


def _refused(reasons: Mapping[str, Any], corrupted: Sequence[Any], replayed: Sequence[Any]) -> Refused:
    return Refused(
        Counter({reason: int(count) for reason, count in reasons.items()}),
        Counter({int(ssrc): int(count) for ssrc, count in corrupted}),
        [(int(ssrc), int(number)) for ssrc, number in replayed],
    )


def _address(path: Hashable) -> list[object]:
    """As the headers of packets along it have it."""
    assert isinstance(path, UdpPath)
    return [path.port, *plain(path.address)]


def described(config: SessionConfig) -> dict[str, object]:
    """The configuration as JSON has it."""
    return asdict(replace(config, formats={}, rtcp_path=None)) | _plain(config)


def _types(types: PayloadTypes) -> dict[str, object]:
    """What was agreed on as JSON has it."""
    return asdict(replace(types, formats={}, rtcp_path=None)) | _plain(types)


def _plain(told: SessionConfig | PayloadTypes) -> dict[str, object]:
    """What JSON cannot have as it is."""
    return {
        "formats": {str(number): asdict(form) for number, form in told.formats.items()},
        "rtx": {str(number): original for number, original in told.rtx.items()},
        "rtx_ssrcs": {str(number): original for number, original in told.rtx_ssrcs.items()},
        "rtcp_path": None if told.rtcp_path is None else _address(told.rtcp_path),
    }


def configuration(told: Mapping[str, Any]) -> SessionConfig:
    """The configuration a capture begins with. Raises Malformed."""
    try:
        known = {name: told[name] for name in (field.name for field in fields(SessionConfig)) if name in told}
        return SessionConfig(**known | _known(told) | {"latency": Latency(**told["latency"])})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Malformed("journal", f"configuration: {error}") from None


def _known(told: Mapping[str, Any]) -> dict[str, Any]:
    """What a configuration and an agreement have alike."""
    path = told["rtcp_path"]
    known: dict[str, Any] = {
        "formats": {int(number): Format(**form) for number, form in told["formats"].items()},
        "rtcp_path": None if path is None else UdpPath(path[0], tuple(path[1:])),
        "fec": told.get("fec"),
        "red": told.get("red"),
    }
    for name in ("rtx", "rtx_ssrcs"):
        known[name] = {int(number): int(original) for number, original in told.get(name, {}).items()}
    for name in ("wrapped", "ulpfec"):
        known[name] = tuple(int(number) for number in told.get(name, ()))
    return known
