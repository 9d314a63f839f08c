"""The jitter buffer at work: order, how long it waits, what it gives up, and how it calms down."""

from __future__ import annotations

from statistics import median

import pytest

from receiver.config import Latency
from tests.scenario import told
from tests.support import pair, traffic
from tests.support.clock import MILLISECOND as MS
from tests.support.clock import SECOND
from tests.support.netem import Conditions, GilbertElliott, rtp_only

FIXED = Latency(fixed=60 * MS)


@pytest.mark.parametrize("seed", range(5))
def test_order_is_restored(seed: int) -> None:
    p = pair.meet(Conditions(delay=60 * MS, jitter=12 * MS), seed=seed, latency=Latency(fixed=120 * MS))
    p.run(traffic.together(traffic.video(4 * SECOND), traffic.audio(4 * SECOND, stream=1)))
    p.finish()
    video, audio = told.numbers(p, "video"), told.numbers(p, "audio")
    assert video == list(range(120))
    assert audio == list(range(audio[0], 200))
    assert audio[0] <= 1, "sound begins with the first packets to come"
    assert told.stream(p, "video").ledger.reordered > 20
    told.assert_true(p)


def test_a_fixed_latency_stands_above_the_least_transit() -> None:
    p = pair.meet(Conditions(delay=60 * MS, jitter=8 * MS), latency=FIXED, streams=(pair.AUDIO,))
    p.run(traffic.audio(20 * SECOND))
    delays = [unit.playout_time - unit.timestamp * SECOND // 48_000 for _, unit in told.units(p, "audio")]
    least = min(fate.arrivals[0] - fate.send_time for fate in p.forward.log if rtp_only(fate.head))
    # the moment of capture, on the receiver's clock, of the first unit
    captured = p.forward.log[0].send_time - told.units(p, "audio")[0][1].timestamp * SECOND // 48_000
    settled = delays[25:]
    assert all(0 <= delay - captured - least - 60 * MS < 5 * MS for delay in settled)
    assert max(settled) - min(settled) < 5 * MS


def test_a_fixed_latency_on_a_steady_path_is_exact() -> None:
    p = pair.meet(Conditions(delay=37 * MS), latency=FIXED)
    p.run(traffic.together(traffic.video(2 * SECOND), traffic.audio(2 * SECOND, stream=1)), SECOND)
    for media, rate in (("video", 90_000), ("audio", 48_000)):
        assert max(map(abs, told.playout_delay(p, media, rate))) <= SECOND // rate + 1, "one tick"
    _, first = told.units(p, "audio")[0]
    assert first.playout_time - first.arrival_time == 60 * MS


def test_the_wait_follows_the_jitter_up_within_a_second_and_comes_down_in_the_calm() -> None:
    p = pair.meet(Conditions(delay=60 * MS), streams=(pair.AUDIO,))
    start = p.clock.now
    delays: list[tuple[int, int]] = []

    def target() -> int:
        return told.stream(p, "audio").target

    p.run(traffic.audio(10 * SECOND))
    assert target() < 5 * MS, "calm"
    p.forward.change(Conditions(delay=60 * MS, jitter=15 * MS))
    for number in range(10, 20):
        p.run(told.sound(SECOND, first=number * 50))
        delays.append((p.clock.now - start, target()))
    assert delays[0][1] > 40 * MS, "after one second"
    missed = told.stream(p, "audio").ledger.missed
    assert missed < 30, "of 500, half of them in the first second"
    p.forward.change(Conditions(delay=60 * MS))
    p.run(told.sound(40 * SECOND, first=1000))
    assert target() < 8 * MS, "calm again"
    assert told.stream(p, "audio").ledger.missed <= missed + 1
    told.assert_balanced(p)


@pytest.mark.parametrize("media", ["audio", "video"])
def test_one_spike_costs_itself_and_leaves_no_delay_behind(media: str) -> None:
    """For 300 ms nothing comes through; then everything at once."""
    p = pair.meet(Conditions(delay=20 * MS), streams=(pair.AUDIO if media == "audio" else pair.VIDEO,))
    make, interval = (told.sound, SECOND // 50) if media == "audio" else (told.pictures, SECOND // 30)
    p.run(make(10 * SECOND))
    before = median(told.extra_delay(p, media)[-50:])
    sent = 10 * SECOND // interval
    for left in range(SECOND * 3 // 10, 0, -interval):
        p.forward.change(Conditions(delay=20 * MS + left))
        p.run(make(interval, first=sent), interval)
        sent += 1
    p.forward.change(Conditions(delay=20 * MS))
    p.units.clear()
    p.run(make(3 * SECOND, first=sent), SECOND)
    assert median(told.extra_delay(p, media)[-30:]) <= before + 3 * MS
    told.assert_balanced(p)


def test_spikes_that_come_again_and_again_are_waited_for() -> None:
    p = pair.meet(Conditions(delay=20 * MS), streams=(pair.AUDIO,))
    p.run(told.sound(20 * SECOND))
    assert told.stream(p, "audio").target < 5 * MS
    p.forward.change(Conditions(delay=20 * MS, hold=dict.fromkeys(range(1000, 6000, 20), 80 * MS), only=rtp_only))
    p.run(told.sound(20 * SECOND, first=1000))
    assert 80 * MS <= told.stream(p, "audio").target < 95 * MS


def held_up(p: pair.Pair) -> list[int]:
    """How long each unit that was whole had to wait for others, the first few apart."""
    return [moment - unit.arrival_time for moment, unit in p.units[20:] if unit.data and not unit.missing]


def test_a_hole_is_skipped_at_its_deadline_and_holds_nothing_up_for_longer() -> None:
    p = pair.meet(Conditions(delay=20 * MS, loss=0.05, only=rtp_only), latency=FIXED)
    p.run(traffic.together(traffic.video(10 * SECOND), traffic.audio(10 * SECOND, stream=1)))
    p.finish()
    assert max(held_up(p)) <= 61 * MS
    for media in ("video", "audio"):
        counts = told.stream(p, media).ledger
        assert counts.missed == counts.lost > 0
    told.assert_true(p)


def test_behind_a_hole_an_adaptive_wait_is_bounded() -> None:
    conditions = Conditions(delay=20 * MS, jitter=4 * MS, bursts=GilbertElliott.of(0.1, 4), only=rtp_only)
    p = pair.meet(conditions, seed=3)
    p.run(traffic.together(traffic.video(20 * SECOND), traffic.audio(20 * SECOND, stream=1)))
    p.finish()
    assert max(held_up(p)) < 65 * MS
    told.assert_true(p)


LATE = {
    "scripted": Conditions(delay=20 * MS, hold={n: (n % 7) * 25 * MS for n in range(20, 400, 9)}, only=rtp_only),
    "jitter": Conditions(delay=100 * MS, jitter=30 * MS, only=rtp_only),
}


@pytest.mark.parametrize("every", [0, 10 * MS, 45 * MS, 200 * MS])
def test_what_is_late_is_decided_by_its_arrival_however_rarely_the_socket_is_read(every: int) -> None:
    """Late sound is what took more than the latency above the quickest packet: known from the network's log."""
    p = pair.meet(LATE["scripted"], latency=FIXED, streams=(pair.AUDIO,))
    p.wakes_every = every
    p.run(traffic.audio(8 * SECOND))
    p.finish()
    counts = told.stream(p, "audio").ledger
    assert counts.late == counts.missed == told.late_by(p, "audio", 60 * MS) > 15
    told.assert_true(p)


@pytest.mark.parametrize("name", LATE)
@pytest.mark.parametrize("every", [10 * MS, 45 * MS])
def test_the_account_does_not_depend_on_how_often_the_socket_is_read(name: str, every: int) -> None:
    told_by = []
    for wakes in (0, every):
        p = pair.meet(LATE[name], latency=FIXED, seed=5)
        p.wakes_every = wakes
        p.run(traffic.together(traffic.video(8 * SECOND), traffic.audio(8 * SECOND, stream=1)))
        p.finish()
        told.assert_true(p)
        told_by.append([told.stream(p, media).ledger for media in ("audio", "video")])
    (audio, video), (audio_rarely, video_rarely) = told_by
    assert audio.late > 3
    assert abs(audio_rarely.late - audio.late) <= 1
    assert abs(video_rarely.late - video.late) <= video.span // 100


def test_copies_of_late_packets_are_copies() -> None:
    hold = dict.fromkeys(range(30, 130, 10), 150 * MS)
    p = pair.meet(Conditions(delay=20 * MS, hold=hold, repeat=frozenset(range(25, 140)), only=rtp_only), latency=FIXED)
    p.run(traffic.audio(4 * SECOND, stream=1))
    p.finish()
    counts = told.stream(p, "audio").ledger
    assert (counts.late, counts.duplicates) == (10, 115)
    told.assert_true(p)
