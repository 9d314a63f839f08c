"""The journal: every call that drove a session, in order, so that a replay can make the same ones. docs/capture.md has
the layout."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from protocol.errors import Malformed

BEGIN, CALLS = 1, 2
"""kinds of custom blocks."""
_DATAGRAMS, _TIMEOUT, _COMMAND, _GAP = 1, 2, 3, 4
_BATCH = struct.Struct("<BqIIB")
_EXACT, _STEERED, _AUTHENTIC = 1, 2, 4
_TIME = struct.Struct("<Bq")
_TEXT = struct.Struct("<BH")
_LOST = struct.Struct("<BII")


class Datagrams(NamedTuple):
    """`handle_datagrams`: the next `packets` inbound packets of the capture, as one batch."""

    now: int
    """monotonic ns, here and below."""
    packets: int
    """at least one."""
    kernel_drops: int = 0
    drops_exact: bool = True
    steered: bool = False
    authentic: bool = False


class Timeout(NamedTuple):
    """`handle_timeout`."""

    now: int


class Command(NamedTuple):
    """Any other call, by its name."""

    name: str
    arguments: list[object]


class Gap(NamedTuple):
    """Calls that are missing here, because the disk was too slow for them."""

    calls: int
    datagrams: int


Call = Datagrams | Timeout | Command | Gap


def encode(call: Call) -> bytes:
    """One call as octets."""
    match call:
        case Datagrams(now, packets, drops, exact, steered, authentic):
            flags = exact * _EXACT | steered * _STEERED | authentic * _AUTHENTIC
            return _BATCH.pack(_DATAGRAMS, now, packets, drops, flags)
        case Timeout(now):
            return _TIME.pack(_TIMEOUT, now)
        case Command(name, arguments):
            text = json.dumps([name, *arguments]).encode()
            return _TEXT.pack(_COMMAND, len(text)) + text
        case Gap(calls, datagrams):
            return _LOST.pack(_GAP, calls, datagrams)


def decode(data: bytes) -> Iterator[Call]:
    """The calls of one block. Raises Malformed."""
    at = 0
    while at < len(data):
        code = data[at]
        try:
            if code == _DATAGRAMS:
                _, now, packets, drops, flags = _BATCH.unpack_from(data, at)
                told = (bool(flags & flag) for flag in (_EXACT, _STEERED, _AUTHENTIC))
                yield Datagrams(now, packets, drops, *told)
                at += _BATCH.size
            elif code == _TIMEOUT:
                yield Timeout(*_TIME.unpack_from(data, at)[1:])
                at += _TIME.size
            elif code == _GAP:
                yield Gap(*_LOST.unpack_from(data, at)[1:])
                at += _LOST.size
            elif code == _COMMAND:
                (length,) = _TEXT.unpack_from(data, at)[1:]
                yield _command(data[at + _TEXT.size : at + _TEXT.size + length])
                at += _TEXT.size + length
            elif not any(data[at:]):
                return  # what fills the block up to 32 bits
            else:
                raise Malformed("journal", f"call {code}")
        except struct.error as error:
            raise Malformed("journal", str(error)) from None


def _command(text: bytes) -> Command:
    try:
        name, *arguments = json.loads(text)
    except (ValueError, TypeError) as error:
        raise Malformed("journal", str(error)) from None
    return Command(str(name), arguments)


def begin(facts: Mapping[str, object]) -> bytes:
    """What a session begins with, as the body of a block."""
    return json.dumps(dict(facts)).encode()


def read_begin(data: bytes) -> dict[str, object]:
    """Raises Malformed."""
    try:
        facts = json.loads(data.rstrip(b"\0"))
    except ValueError as error:
        raise Malformed("journal", str(error)) from None
    if not isinstance(facts, dict):
        raise Malformed("journal", "it begins with no object")
    return facts
