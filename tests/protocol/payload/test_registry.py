"""The table of payload formats."""

from __future__ import annotations

import pytest

from protocol.errors import ProtocolError, Unsupported
from protocol.payload import registry


@pytest.mark.parametrize("layout", registry.DEFAULT_PAYLOAD_TYPES.values())
def test_every_default_can_be_sent_and_received(layout: tuple[str, int, int, registry.Parameters]) -> None:
    encoding, *rest = layout
    registry.packetizer(encoding.lower(), *rest)
    registry.depacketizer(encoding.upper(), *rest)


def test_channels_count() -> None:
    assert registry.depacketizer("L16", 48000, 2, {}).duration(bytes(960)) == 240
    assert registry.depacketizer("L16", 48000, 1, {}).duration(bytes(960)) == 480
    assert registry.depacketizer("PCMU", 8000, 1, {}).duration(bytes(160)) == 160
    assert registry.depacketizer("H264", 90000, 1, {}).duration(bytes(160)) is None


def test_static_payload_types_are_those_of_rfc_3551() -> None:
    table = registry.DEFAULT_PAYLOAD_TYPES
    assert table[0][:3] == ("PCMU", 8000, 1)
    assert table[8][:3] == ("PCMA", 8000, 1)
    assert table[10][:3] == ("L16", 44100, 2)
    assert table[11][:3] == ("L16", 44100, 1)
    assert table[26][:2] == ("JPEG", 90000)
    assert not any(64 <= payload_type <= 95 for payload_type in table)


def test_what_is_not_in_the_table() -> None:
    with pytest.raises(Unsupported, match="H265/90000"):
        registry.packetizer("H265", 90000, 1, {})
    for encoding, rate, channels in (("opus", 44100, 2), ("VP8", 8000, 1), ("L16", 44100, 0), ("L16", 0, 1)):
        with pytest.raises(ProtocolError):
            registry.depacketizer(encoding, rate, channels, {})
