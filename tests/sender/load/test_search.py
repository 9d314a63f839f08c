"""The search through the seeded network, in virtual time: a real sender, a real receiver, a bottleneck between them."""

from __future__ import annotations

from random import Random

import pytest

from sender.load import report
from sender.load.patterns import even
from sender.load.search import Found, Sample, Search
from sender.load.session import LoadSession
from sender.load.traffic import Traffic
from sender.transmit.stream import StreamConfig
from tests.support.clock import MILLISECOND, SECOND
from tests.support.netem import IP_UDP_OVERHEAD, Conditions, GilbertElliott
from tests.support.pair import Pair, meet

SIZE = 1200
LOAD = StreamConfig("load", "x-steadycast-load", 127, 90_000, 0x33333333, 0, 2_000_000)
LIMIT = 60 * SECOND


def search(conditions: Conditions, seed: int = 1, maximum: int = 2_000_000_000) -> tuple[Found, float]:
    """What is found, and how many seconds it took."""
    pair = meet(conditions, Conditions(delay=conditions.delay), seed=seed, streams=(LOAD,), log=False)
    session = install(pair, Search(SIZE, 0.01, maximum), seed)
    end = pair.clock.now + LIMIT
    while not session.closed and pair.clock.now < end:
        pair.run(duration=SECOND // 10)
    assert session.search is not None
    return session.search.result(), session.seconds()


def install(pair: Pair, search: Search, seed: int) -> LoadSession:
    now = pair.sender_clock.local(pair.clock.now)
    session = LoadSession(
        LOAD, Traffic(even(search.rate, SIZE), b"\x55" * SIZE), cname="load@test", now=now, wall=pair.clock.wall,
        random=Random(seed), packet_size=SIZE, search=search,
    )  # fmt: skip
    pair.sender = session
    return session


@pytest.mark.parametrize(
    ("name", "conditions"),
    [
        ("short queue", Conditions(delay=20 * MILLISECOND, rate=6e6, queue_time=5 * MILLISECOND)),
        ("long queue", Conditions(delay=40 * MILLISECOND, rate=3e6, queue_time=500 * MILLISECOND)),
        ("jitter", Conditions(delay=60 * MILLISECOND, jitter=15 * MILLISECOND, rate=4e6, queue_time=100 * MILLISECOND)),
        ("loss", Conditions(delay=5 * MILLISECOND, rate=1e6, loss=0.003, queue_time=50 * MILLISECOND)),
        ("bursts", Conditions(bursts=GilbertElliott.of(0.003, 4), rate=4e6, queue_time=40 * MILLISECOND)),
    ],
)
def test_the_bottleneck_is_found_within_a_tenth_in_half_a_minute(name: str, conditions: Conditions) -> None:
    assert conditions.rate is not None
    bottleneck = conditions.rate * SIZE / (SIZE + IP_UDP_OVERHEAD)  # of UDP payload
    found, seconds = search(conditions, seed=2)
    assert found.held is not None, name
    assert 0.9 * bottleneck <= found.held.rate <= 1.02 * bottleneck
    assert found.broke is not None
    assert found.broke.breaks in ("loss", "delay")
    assert seconds < 30
    text = report.find_verdict(found, SIZE)
    assert "The path carries" in text
    assert "--video-bitrate" in text
    advice = report.find(found, SIZE, 0.01)["recommendation"]
    assert isinstance(advice, dict)
    assert 0.5 * bottleneck < advice["bitrate_bps"] < 0.85 * bottleneck


def test_delay_alone_breaks_a_rate_whose_queue_never_overflows() -> None:
    found, _ = search(Conditions(delay=10 * MILLISECOND, rate=2e6))
    assert found.held is not None
    assert found.broke is not None
    assert found.broke.breaks == "delay"
    assert found.held.queue is not None
    assert found.held.queue < 40 * MILLISECOND


def test_a_limit_that_holds_is_the_answer() -> None:
    found, seconds = search(Conditions(delay=5 * MILLISECOND), maximum=3_000_000)
    assert found.held is not None
    assert found.held.rate == 3_000_000
    assert (found.held.lost, found.broke) == (0, None)
    assert "No higher rate was tried" in report.find_verdict(found, SIZE)
    assert seconds < 15


def test_loss_that_does_not_come_from_rate_is_called_that() -> None:
    found, _ = search(Conditions(delay=20 * MILLISECOND, loss=0.1))
    assert found.held is None
    assert found.finished
    assert "something else than rate" in report.find_verdict(found, SIZE)


def test_nobody_who_answers_ends_it() -> None:
    pair = meet(Conditions(), streams=(LOAD,), log=False)
    pair.receiver = None
    session = install(pair, Search(SIZE, 0.01), 1)
    pair.run(duration=8 * SECOND)
    assert session.closed
    assert session.search is not None
    assert not session.search.heard
    assert session.search.result().held is None


def test_a_request_for_a_key_frame_asks_nobody() -> None:
    pair = meet(Conditions(delay=5 * MILLISECOND, loss=0.05), streams=(LOAD,))
    install(pair, Search(SIZE, 0.5, 500_000), 1)
    pair.run(duration=2 * SECOND)
    assert not [event for _, event in pair.receiver_events if "KeyFrame" in type(event).__name__]
    assert pair.receiver is not None
    stream = pair.receiver.statistics().streams[0]
    assert (stream.format.media, stream.unusable) == ("load", {})
    assert stream.ledger.lost > 0
    assert stream.emitted > 0


def held_up(until: int) -> Search:
    """A search by a machine that cannot send a third of what it should, up to that moment."""
    search = Search(SIZE, 0.01, 500_000)
    search.begin(0, 0)
    number = skipped = 0
    for now in range(0, 30 * SECOND, SECOND // 5):
        number += 10
        skipped += 5 if now < until else 0
        search.observe(Sample(now, number - 1, 0, 30 * MILLISECOND, 0.001))
        search.advance(now, number, skipped)
        if search.over:
            break
    return search


def test_a_machine_that_stalls_tries_again() -> None:
    found = held_up(2 * SECOND).result()
    assert [step.breaks for step in found.steps[:2]] == ["sender", "sender"]
    assert found.held is not None
    assert found.held.rate == 500_000


def test_a_machine_that_is_too_slow_is_said_to_be() -> None:
    found = held_up(60 * SECOND).result()
    assert found.held is None
    assert "this machine cannot send faster" in report.find_verdict(found, SIZE)
