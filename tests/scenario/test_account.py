"""The ledger beside the network's own log, whatever the network did; the sender's range; the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from receiver.config import Latency
from tests.scenario import told
from tests.support import pair, traffic, truth
from tests.support.clock import MILLISECOND as MS
from tests.support.clock import SECOND
from tests.support.netem import Conditions, GilbertElliott, rtp_only

PATH = Conditions(delay=20 * MS, only=rtp_only)


def both(duration: int) -> Iterator[traffic.Item]:
    return traffic.together(traffic.video(duration), traffic.audio(duration, stream=1))


CONDITIONS = {
    "half of it lost": replace(PATH, loss=0.5),
    "as many copies as losses": replace(PATH, loss=0.1, duplication=0.11),
    "long bursts": replace(PATH, bursts=GilbertElliott.of(0.2, 12)),
    "all in disorder": Conditions(delay=150 * MS, jitter=50 * MS, only=rtp_only),
    "a bottleneck": replace(PATH, rate=900_000.0, queue_time=200 * MS),
    "everything at once": Conditions(
        delay=80 * MS, jitter=20 * MS, bursts=GilbertElliott.of(0.05, 3), duplication=0.05, only=rtp_only
    ),
    "RTCP suffers too": Conditions(delay=40 * MS, jitter=10 * MS, loss=0.2),
}


@pytest.mark.parametrize("latency", [Latency(), Latency(fixed=60 * MS)], ids=["adaptive", "fixed"])
@pytest.mark.parametrize("name", CONDITIONS)
def test_the_account_is_the_truth(name: str, latency: Latency) -> None:
    p = pair.meet(CONDITIONS[name], seed=11, latency=latency)
    p.run(both(6 * SECOND))
    p.finish()
    told.assert_true(p)


@pytest.mark.parametrize("lost", [range(12), range(3), [0]])
def test_a_lost_head_is_loss(lost: range | list[int]) -> None:
    p = pair.meet(replace(PATH, drop=frozenset(lost)))
    p.run(both(2 * SECOND))
    p.finish()
    told.assert_true(p)
    assert sum(told.stream(p, media).ledger.lost for media in told.NAMES) == len(lost)


@pytest.mark.parametrize("count", [1, 40])
def test_a_lost_tail_is_loss(count: int) -> None:
    p = pair.meet(PATH, streams=(pair.AUDIO,))
    p.run(traffic.audio(4 * SECOND), 4 * SECOND)
    p.forward.change(replace(PATH, loss=1.0))
    p.run(told.sound(count * 20 * MS, first=200))
    p.finish()
    told.assert_true(p)
    assert told.stream(p, "audio").ledger.lost == count


def test_what_was_sent_before_we_listened_is_no_loss() -> None:
    p = pair.meet(PATH, streams=(pair.AUDIO,))
    p.receiver = None
    p.run(traffic.audio(2 * SECOND), 3 * SECOND)
    p.receiver = pair.make_receiver(p.clock, Latency(), 3)
    p.run(told.sound(2 * SECOND, first=100))
    p.finish()
    counts = told.stream(p, "audio").ledger
    assert (counts.sent, counts.lost, counts.missed) == (100, 0, 0)
    told.assert_balanced(p)


def test_the_last_range_is_acknowledged_at_once() -> None:
    p = pair.meet(PATH)
    p.run(both(2 * SECOND))
    assert p.sender is not None
    p.sender.close(p.sender_clock.local(p.clock.now))
    closed = told.until(p, lambda: p.sender is not None and p.sender.closed, limit=SECOND)
    assert closed <= 60 * MS, "one round trip of 40 ms"


@pytest.mark.parametrize("silent_for", [500 * MS, 1500 * MS])
def test_the_last_range_is_repeated_until_it_is_acknowledged(silent_for: int) -> None:
    p = pair.meet(Conditions(delay=20 * MS))
    p.run(both(2 * SECOND))
    assert p.sender is not None
    p.back.change(Conditions(delay=20 * MS, loss=1.0))
    p.sender.close(p.sender_clock.local(p.clock.now))
    p.run(duration=silent_for)
    assert not p.sender.closed
    p.back.change(Conditions(delay=20 * MS))
    told.until(p, lambda: p.sender is not None and p.sender.closed, limit=200 * MS)
    p.run(duration=SECOND)
    told.assert_true(p)


def test_reports_follow_a_sender_to_its_own_rtcp_port() -> None:
    apart = [
        replace(config, rtp_path=("rtp", n), rtcp_path=("rtcp", n)) for n, config in enumerate((pair.VIDEO, pair.AUDIO))
    ]
    p = pair.meet(replace(PATH, drop=frozenset({100})), streams=apart)
    p.run(both(3 * SECOND))
    assert p.sender is not None
    sent = p.sender.statistics(p.sender_clock.local(p.clock.now))
    assert all(stream.rtt_ms == pytest.approx(40, abs=1) for stream in sent.streams)
    assert sum(stream.key_frame_requests for stream in sent.streams) >= 1
    p.finish()
    told.assert_true(p)


def test_the_sender_reads_in_reports_what_the_network_did() -> None:
    p = pair.meet(Conditions(delay=20 * MS, loss=0.1, only=rtp_only), Conditions(delay=20 * MS), streams=(pair.AUDIO,))
    p.run(traffic.audio(30 * SECOND), 31 * SECOND)
    assert p.sender is not None
    (sent,) = p.sender.statistics(p.sender_clock.local(p.clock.now)).streams
    lost = sum(fate.what == "lost" for fate in p.forward.log)
    assert sent.reception is not None
    assert abs(sent.reception.cumulative_lost - lost) <= 2
    assert sent.rtt_ms == pytest.approx(40, abs=1)


conditions = st.builds(
    Conditions,
    delay=st.integers(0, 200).map(lambda ms: ms * MS),
    jitter=st.integers(0, 40).map(lambda ms: ms * MS),
    reordering=st.booleans(),
    loss=st.sampled_from([0.0, 0.02, 0.3]),
    bursts=st.none() | st.builds(GilbertElliott.of, st.floats(0.01, 0.4), st.floats(1.0, 20.0)),
    duplication=st.sampled_from([0.0, 0.1]),
    rate=st.none() | st.just(1_500_000.0),
    queue_time=st.just(150 * MS),
    blackouts=st.just(()) | st.tuples(st.integers(0, 900), st.integers(1, 600)).map(
        lambda t: ((t[0] * MS, (t[0] + t[1]) * MS),)
    ),
    hold=st.dictionaries(st.integers(0, 200), st.integers(1, 800).map(lambda ms: ms * MS), max_size=5),
    only=st.just(rtp_only),
)  # fmt: skip


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(
    conditions=conditions,
    latency=st.sampled_from([Latency(), Latency(fixed=0), Latency(fixed=60 * MS)]),
    wakes_every=st.sampled_from([0, 3 * MS, 70 * MS]),
    seed=st.integers(0, 1000),
)
def test_whatever_the_network_does_the_account_balances_and_nothing_stalls(
    conditions: Conditions, latency: Latency, wakes_every: int, seed: int
) -> None:
    p = pair.meet(conditions, Conditions(delay=conditions.delay), seed=seed, latency=latency)
    p.wakes_every = wakes_every
    p.run(both(SECOND * 6 // 5))
    p.finish()
    p.run(duration=SECOND)
    told.assert_balanced(p)
    heard = {s.key.ssrc: s for s in told.statistics(p).streams}
    for ssrc, real in truth.of_streams(p.forward.log).items():
        if ssrc in heard and heard[ssrc].key.epoch == 0:
            counts = heard[ssrc].ledger
            assert counts.arrived + counts.before_join <= real.arrived
            copies = counts.arrived + counts.duplicates + counts.after_close + counts.before_join
            assert copies <= real.arrived + real.duplicates
            assert counts.sent in (None, real.sent)
    for media in told.NAMES:
        numbers = told.numbers(p, media)
        assert numbers == sorted(set(numbers)), "in order, none twice"
