"""Load: sizes, and what a receiver can say of a packet (docs/wire.md)."""

from __future__ import annotations

import pytest

from protocol.errors import Truncated
from protocol.payload import registry

LOAD = ("x-steadycast-load", 90_000, 1, {})


def test_filler_that_fills_packets_fills_them_to_the_octet() -> None:
    payloads = registry.packetizer(*LOAD).packetize(bytes(3 * 1187), 1188)
    assert [len(payload) for payload in payloads] == [1188] * 3


def test_the_first_packet_of_a_unit_says_so() -> None:
    payloads = registry.packetizer(*LOAD).packetize(bytes(3000), 1188)
    load = registry.depacketizer(*LOAD)
    assert [load.begins(payload) for payload in payloads] == [True, False, False]
    assert [payload[0] for payload in payloads] == [0x80, 0, 0]


def test_a_decoder_gets_nothing() -> None:
    load = registry.depacketizer(*LOAD)
    assert load.depacketize([b"\x80abc", None]) == b""
    assert load.duration(b"\x80abc") is None


def test_an_empty_payload_is_refused() -> None:
    with pytest.raises(Truncated):
        registry.depacketizer(*LOAD).begins(b"")
