"""Hosts and ports as people write them."""

from __future__ import annotations

import pytest

from protocol.command import address
from protocol.errors import UsageError


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("example.org", ("example.org", 5004)),
        ("192.0.2.7:6000", ("192.0.2.7", 6000)),
        (":6000", ("", 6000)),
        ("[2001:db8::7]:6000", ("2001:db8::7", 6000)),
        ("[::1]", ("::1", 5004)),
        ("2001:db8::7", ("2001:db8::7", 5004)),
        ("fe80::1%eth0", ("fe80::1%eth0", 5004)),
        ("[fe80::1%eth0]:6000", ("fe80::1%eth0", 6000)),
    ],
)
def test_host_and_port(text: str, place: tuple[str, int]) -> None:
    assert address.host_port(text) == place


@pytest.mark.parametrize("text", ["", "a:b", "a:0", "a:65536", "[nonsense]:5004", "a b", "host/path", "[::1", "1:2:3"])
def test_no_address(text: str) -> None:
    with pytest.raises(UsageError) as refusal:
        address.host_port(text)
    assert "\n" not in str(refusal.value)


def test_a_peer_needs_both_parts() -> None:
    assert address.peer("192.0.2.7:6000") == ("192.0.2.7", 6000)
    for text in ("192.0.2.7", ":6000", ""):
        with pytest.raises(UsageError):
            address.peer(text)


def test_schemes() -> None:
    assert address.split_scheme("host:1") == ("", "host:1")
    assert address.split_scheme("rtp://host:1/") == ("rtp", "host:1")
    assert address.split_scheme("rtp://@239.1.2.3:5004") == ("rtp", "239.1.2.3:5004")  # as VLC writes it
    with pytest.raises(UsageError, match="srt:// is not supported"):
        address.split_scheme("srt://host:1")
