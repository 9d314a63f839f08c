"""Which of a capture's streams are replayed, or the one line that asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from protocol.errors import NoPeerError, UsageError
from receiver.capture.link import LINKS
from receiver.media import Format
from receiver.replay.survey import Found, Survey

USUAL = 2
"""streams: sound and picture."""
_LISTED = 20
Endpoint = tuple[bytes, int]
"""an address and a UDP port."""


def choose(
    path: str, found: Survey, formats: Mapping[int, Format], ssrc: int | None, log: Callable[[str], None]
) -> list[Found]:
    """The streams of `ssrc`, or all of them when they are the usual two to one place. Raises UsageError (the list of
    them goes to `log`) or NoPeerError."""
    streams = found.streams
    if not streams:
        raise _nothing(path, found)
    if ssrc is not None:
        streams = [stream for stream in streams if stream.flow.ssrc == ssrc][:1]
        if not streams:
            _tell(found.streams, formats, log)
            raise UsageError(f"--ssrc: {path} has no stream of SSRC {ssrc}; choose {_numbers(found.streams)}")
    playable = [stream for stream in streams if stream.payload_types.keys() & formats.keys()]
    if not playable:
        types = sorted({number for stream in streams for number in stream.payload_types})
        named = " and ".join(map(str, types[:4]))
        raise UsageError(
            f"{path}: what payload type {named} holds is not known: say it with --sdp FILE.sdp"
            f" or --map {types[0]}=NAME/RATE"
        )
    if len(playable) > USUAL or len({stream.flow.destination for stream in playable}) > 1:
        _tell(playable, formats, log)
        raise UsageError(f"{path} has {len(playable)} RTP streams: choose one with --ssrc {_numbers(playable)}")
    return playable


def endpoints(streams: Sequence[Found], ports: Sequence[int]) -> frozenset[Endpoint]:
    """Where a receiver of these streams would have listened: their ports, the next ones for RTCP, and `ports` of a
    description."""
    found = set()
    for stream in streams:
        port = stream.flow.destination_port
        found |= {(stream.flow.destination, number) for number in (port, port + 1, *ports)}
    return frozenset(found)


def _nothing(path: str, found: Survey) -> UsageError | NoPeerError:
    unknown = found.unwrapper.unknown_links
    if unknown and not found.datagrams:
        known = ", ".join(dict.fromkeys(LINKS.values()))
        return UsageError(f"{path} is of link type {min(unknown)}, which is not understood: {known} are")
    if not found.packets:
        return NoPeerError(f"{path} holds no packets")
    if not found.datagrams:
        return NoPeerError(f"{path} holds {found.packets} packets, but no UDP")
    return NoPeerError(f"{path} holds {found.datagrams} UDP datagrams, but no RTP")


def _tell(streams: Sequence[Found], formats: Mapping[int, Format], log: Callable[[str], None]) -> None:
    for stream in streams[:_LISTED]:
        number = stream.payload_types.most_common(1)[0][0]
        name = f"{formats[number].encoding} " if number in formats else ""
        log(f"SSRC {stream.flow.ssrc}: {stream.packets} packets, {name}payload type {number}, {stream.flow}")


def _numbers(streams: Sequence[Found]) -> str:
    numbers = [str(stream.flow.ssrc) for stream in streams]
    listed = numbers[:4] if len(numbers) <= 4 else [*numbers[:3], f"another of {len(numbers)}"]
    return " or ".join(listed)
