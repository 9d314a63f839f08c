"""Whose limit holds, for how long, and what is left of it for the encoder."""

from __future__ import annotations

import pytest

from protocol.rtcp.tmmbr import Limit
from sender.transmit.circuit_breaker import Sent
from sender.transmit.rate import EXPIRY, Progress, StreamRate, VideoRate

SECOND = 1_000_000_000
NOW = 50 * SECOND
NOTHING = Progress(Sent(0, 0), 0, 0)


def sent(packets: int, payload: int, repair: int = 0) -> Progress:
    """Packets of so many octets of payload, with headers of 40."""
    return Progress(Sent(packets, packets * (payload + 40)), packets * payload, repair)


def test_the_lowest_limit_holds_with_its_owner() -> None:
    rate = StreamRate(0)
    rate.request(1, Limit(0xAAAA, 900_000, 40), NOW)
    rate.request(2, Limit(0xAAAA, 700_000, 40), NOW)
    assert rate.lowest(NOW) == Limit(2, 700_000, 40)
    rate.request(2, Limit(0xAAAA, 950_000, 40), NOW)
    assert rate.lowest(NOW) == Limit(1, 900_000, 40)
    rate.forget(1)
    assert rate.lowest(NOW) == Limit(2, 950_000, 40)


def test_what_is_not_repeated_ends() -> None:
    rate = StreamRate(0)
    rate.request(1, Limit(0xAAAA, 700_000, 40), NOW)
    assert rate.follow(NOTHING, NOW) == (700_000, "congestion")
    assert rate.follow(NOTHING, NOW + EXPIRY - 1) is None
    assert rate.follow(NOTHING, NOW + EXPIRY) == (None, "")
    assert rate.follow(NOTHING, NOW + 2 * EXPIRY) is None


def test_headers_and_repair_are_taken_off() -> None:
    """960 of 1000 octets are payload; with a packet of repair for each of media, 480 of 1000."""
    rate = StreamRate(0)
    assert rate.follow(NOTHING, NOW) is None
    rate.request(1, Limit(0xAAAA, 1_000_000, 40), NOW)
    assert rate.follow(sent(100, 960), NOW + SECOND) == (960_000, "congestion")
    assert rate.bitrate == 960_000
    more = StreamRate(0)
    more.follow(NOTHING, NOW)
    more.request(1, Limit(0xAAAA, 1_000_000, 40), NOW)
    assert more.follow(sent(100, 960, 100_000), NOW + SECOND) == (480_000, "congestion")


def test_receivers_without_number_take_no_room() -> None:
    rate = StreamRate(0)
    for receiver in range(5000):
        rate.request(receiver, Limit(0xAAAA, 700_000 + receiver, 40), NOW)
    lowest = rate.lowest(NOW)
    assert lowest is not None
    assert lowest.ssrc == 5000 - 1024


def test_the_slowest_destination_decides() -> None:
    rate = VideoRate(2_000_000)
    assert rate.take() is None
    rate.limit("a", 900_000)
    rate.limit("b", 700_000)
    assert rate.take() == 700_000
    assert rate.take() is None
    rate.limit("b", None)
    assert rate.take() == 900_000
    rate.limit("a", None)
    assert rate.take() == 2_000_000


@pytest.mark.parametrize(("ceiling", "least"), [(2_000_000, 100_000), (500_000, 50_000)])
def test_never_above_what_was_asked_for_nor_below_a_tenth(ceiling: int, least: int) -> None:
    rate = VideoRate(ceiling)
    rate.limit("a", 10)
    assert rate.take() == least
    rate.limit("a", 1 << 40)
    assert rate.take() == ceiling
