"""What may happen to a stream in its life: restarts, jumps, silence, other routes, other clocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import median

import pytest

from protocol.rtcp import compound
from protocol.rtcp.bye import Bye
from receiver.config import Latency
from receiver.events import AllEnded, KeyFrameRequested, StreamEnded, StreamResumed, StreamSilent, StreamStarted
from sender.transmit.stream import StreamConfig
from tests.scenario import told
from tests.support import pair, traffic
from tests.support.clock import MILLISECOND as MS
from tests.support.clock import SECOND
from tests.support.netem import Conditions, rtp_only

PATH = Conditions(delay=20 * MS)
FIXED = Latency(fixed=60 * MS)


def rtcp_only(datagram: bytes) -> bool:
    return not rtp_only(datagram)


def restart(p: pair.Pair, streams: Sequence[StreamConfig], seed: int = 99) -> None:
    """Another process of the sender: new numbers, new RTP time."""
    p.sender = pair.make_sender(p.clock, p.sender_clock, streams, seed)


@pytest.mark.parametrize("goodbye", [True, False])
@pytest.mark.parametrize("same_ssrc", [True, False])
def test_a_sender_that_restarts_is_heard_again(goodbye: bool, same_ssrc: bool) -> None:
    p = pair.meet(PATH)
    p.run(traffic.together(traffic.video(3 * SECOND), traffic.audio(3 * SECOND, stream=1)), 4 * SECOND)
    if goodbye:
        p.finish()
    again = [pair.VIDEO, pair.AUDIO]
    if not same_ssrc:
        again = [replace(config, ssrc=config.ssrc + 1) for config in again]
    restart(p, again)
    shown = len(p.units)
    p.run(traffic.together(traffic.video(3 * SECOND), traffic.audio(3 * SECOND, stream=1)))
    p.finish()
    for media, sent in (("video", 90), ("audio", 150)):
        assert [traffic.frame_number(u.data) for _, u in p.units[shown:] if u.format.media == media] == list(
            range(sent)
        )
        first, second = sorted(told.streams(p, media), key=lambda s: (s.key.ssrc, s.key.epoch))
        assert (second.key.epoch == 1) is same_ssrc
        assert second.ledger.missed == 0
        assert first.ledger.missed == 0
        assert second.ledger.sent_known
    assert len(told.events(p, StreamStarted)) == 4
    told.assert_balanced(p)


def test_a_jump_of_the_numbers_is_another_numbering() -> None:
    p = pair.meet(Conditions(delay=20 * MS, loss=1.0, only=rtcp_only), streams=(pair.AUDIO,))
    p.run(traffic.audio(2 * SECOND))
    assert p.sender is not None
    p.sender._streams[0]._packetizer.next_sequence += 20_000
    p.run(told.sound(2 * SECOND, first=100), 3 * SECOND)
    assert [s.key.epoch for s in told.streams(p, "audio")] == [0, 1]
    assert told.numbers(p, "audio") == list(range(200))
    assert sum(s.ledger.lost for s in told.streams(p, "audio")) == 0
    told.assert_balanced(p)


@pytest.mark.parametrize("media", ["audio", "video"])
def test_after_ten_silent_seconds_it_goes_on_as_before(media: str) -> None:
    p = pair.meet(PATH, streams=(pair.AUDIO if media == "audio" else pair.VIDEO,))
    make, rate = (told.sound, 50) if media == "audio" else (told.pictures, 30)
    p.run(make(3 * SECOND))
    p.run(duration=10 * SECOND)
    p.run(make(3 * SECOND, first=13 * rate))
    p.finish()
    assert told.numbers(p, media) == [*range(3 * rate), *range(13 * rate, 16 * rate)]
    assert max(told.extra_delay(p, media)[-50:]) < 30 * MS
    assert [type(event) for _, event in p.receiver_events if isinstance(event, StreamSilent | StreamResumed)] == [
        StreamSilent,
        StreamResumed,
    ]
    (_, resumed), *_ = told.events(p, StreamResumed)
    assert 10 * SECOND <= resumed.silence < 10 * SECOND + 50 * MS
    told.assert_true(p)


def test_an_rtp_clock_that_stood_still_in_the_silence_costs_a_second_of_sound_at_most() -> None:
    p = pair.meet(PATH, streams=(pair.AUDIO,))
    p.run(told.sound(3 * SECOND))
    p.run(duration=10 * SECOND)
    p.run(told.sound(6 * SECOND, first=150))
    p.finish()
    numbers = told.numbers(p, "audio")
    assert numbers[:150] == list(range(150))
    assert len(numbers) >= 450 - 60
    assert max(told.extra_delay(p, "audio")[-50:]) < 80 * MS
    told.assert_balanced(p)


@pytest.mark.parametrize("first", [65_530, 65_535, 0])
def test_numbers_wrap(first: int) -> None:
    p = pair.meet(replace(PATH, jitter=6 * MS, loss=0.02), latency=Latency(fixed=80 * MS))
    assert p.sender is not None
    for stream in p.sender._streams:
        stream._packetizer.next_sequence = stream._packetizer.first_sequence = first
    p.run(traffic.together(traffic.video(4 * SECOND), traffic.audio(4 * SECOND, stream=1)))
    p.finish()
    told.assert_true(p)


def test_timestamps_wrap() -> None:
    p = pair.meet(PATH)
    assert p.sender is not None
    for stream in p.sender._streams:
        stream._packetizer.timestamp_offset = (1 << 32) - 48_000
    p.run(traffic.together(traffic.video(4 * SECOND), traffic.audio(4 * SECOND, stream=1)))
    p.finish()
    assert told.numbers(p, "audio") == list(range(200))
    assert told.numbers(p, "video") == list(range(120))
    assert max(told.extra_delay(p, "audio")[20:]) < 30 * MS
    told.assert_true(p)


@pytest.mark.parametrize("media", ["audio", "video"])
def test_a_longer_route_costs_its_length_and_no_more(media: str) -> None:
    p = pair.meet(PATH, streams=(pair.AUDIO if media == "audio" else pair.VIDEO,))
    make, rate = (told.sound, 50) if media == "audio" else (told.pictures, 30)
    p.run(make(10 * SECOND))
    before = median(told.extra_delay(p, media)[-50:])
    p.forward.change(Conditions(delay=220 * MS))
    p.run(make(20 * SECOND, first=10 * rate))
    assert median(told.extra_delay(p, media)[-50:]) <= before + 5 * MS
    assert told.stream(p, media).ledger.missed <= 10
    played = [unit.playout_time for _, unit in told.units(p, media)][11 * rate :]
    steps = [b - a for a, b in pairwise(played)]
    assert max(abs(step - SECOND // rate) for step in steps) < 20 * MS, "smoothly, once it had adapted"
    p.forward.change(PATH)
    p.run(make(20 * SECOND, first=30 * rate))
    assert median(told.extra_delay(p, media)[-50:]) <= before + 5 * MS, "and back again"
    p.finish()
    told.assert_true(p)


def test_a_blackout_is_loss_and_no_restart() -> None:
    p = pair.meet(Conditions(delay=20 * MS, blackouts=((3 * SECOND, 5 * SECOND),)))
    p.run(traffic.together(traffic.video(8 * SECOND), traffic.audio(8 * SECOND, stream=1)))
    p.finish()
    for media in ("video", "audio"):
        assert told.stream(p, media).key.epoch == 0
        assert max(told.extra_delay(p, media)[-50:]) < 40 * MS
    assert told.stream(p, "audio").ledger.missed == 100
    concealed = [unit for _, unit in told.units(p, "audio") if not unit.data]
    assert len(concealed) == 25, "no more than concealment can use"
    told.assert_true(p)


def test_started_in_the_middle_it_asks_for_a_key_frame_and_shows_it() -> None:
    p = pair.meet(PATH, streams=(pair.VIDEO,))
    p.receiver = None
    p.run(told.encoder(p, 3 * SECOND))
    p.receiver = pair.make_receiver(p.clock, Latency(), 7)
    began = p.clock.now
    p.run(continued(p, 3 * SECOND, 90))
    (asked, event), *_ = told.events(p, KeyFrameRequested)
    assert "middle" in event.why
    assert asked - began < 100 * MS
    shown = next(moment for moment, unit in told.units(p, "video") if told.is_key(unit))
    assert shown - asked <= 40 * MS + 2 * SECOND // 30 + 11 * MS, "round trip, the next frame, its pacing"
    p.finish()
    counts = told.stream(p, "video").ledger
    assert counts.lost == 0
    assert counts.missed == 0
    told.assert_balanced(p)


@pytest.mark.parametrize("jitter", [0, 5 * MS, 10 * MS])
def test_the_first_picture_comes_whole_through_jitter_nobody_knows_yet(jitter: int) -> None:
    for seed in range(10):
        p = pair.meet(Conditions(delay=80 * MS, jitter=jitter), seed=seed, streams=(pair.VIDEO,))
        p.run(told.encoder(p, SECOND // 2))
        _, first = told.units(p, "video")[0]
        assert told.is_key(first)
        assert not first.missing
        assert told.events(p, KeyFrameRequested) == []


def continued(p: pair.Pair, duration: int, first: int) -> Iterator[traffic.Item]:
    """The encoder goes on: no key frame unless asked for."""
    items = told.encoder(p, duration, first=first)
    begin = next(items)
    yield replace(begin, data=traffic.h264_frame(first, 4000, False), key_frame=False)
    yield from items


def test_a_lost_picture_is_asked_for_again_until_it_comes() -> None:
    """The request itself is lost twice."""
    p = pair.meet(
        Conditions(delay=20 * MS, drop=frozenset({60}), only=rtp_only), Conditions(delay=20 * MS), streams=(pair.VIDEO,)
    )
    p.run(told.encoder(p, SECOND // 3))
    p.back.change(Conditions(delay=20 * MS, blackouts=((0, 10 * SECOND),)))
    p.run(continued(p, 2 * SECOND, 10))
    requests = [moment for moment, _ in told.events(p, KeyFrameRequested)]
    assert len(requests) >= 4
    assert all(b - a >= 240 * MS for a, b in pairwise(requests))
    p.back.change(Conditions(delay=20 * MS))
    p.run(continued(p, 2 * SECOND, 70))
    after = len(told.events(p, KeyFrameRequested))
    p.run(continued(p, 2 * SECOND, 130))
    assert len(told.events(p, KeyFrameRequested)) == after
    assert told.is_key(next(unit for _, unit in reversed(told.units(p, "video")) if told.is_key(unit)))


def test_a_lost_goodbye_changes_nothing_for_the_listener() -> None:
    """The final range, which is repeated until it is acknowledged, says as well that nothing follows."""
    p = pair.meet(PATH, streams=(pair.AUDIO,))
    send = p.forward.send

    def without_goodbye(datagram: bytes, now: int, path: object = None) -> object:
        packets = compound.parse(datagram) if rtcp_only(datagram) else []
        kept = [packet for packet in packets if not isinstance(packet, Bye)]
        return send(compound.serialize(kept) if kept else datagram, now, path)

    p.forward.send = without_goodbye  # type: ignore[assignment, method-assign]
    p.run(traffic.audio(2 * SECOND))
    ended_at = p.clock.now
    p.finish()
    (when, ended), *more = told.events(p, StreamEnded)
    assert not more
    assert "goodbye" in ended.why
    assert when - ended_at < 800 * MS
    assert [moment for moment, _ in told.events(p, AllEnded)] == [when]
    told.assert_balanced(p)


def test_without_a_goodbye_it_is_silent_and_its_account_still_closes() -> None:
    p = pair.meet(PATH)
    p.run(traffic.together(traffic.video(2 * SECOND), traffic.audio(2 * SECOND, stream=1)))
    p.sender = None
    p.run(duration=8 * SECOND)
    assert {event.key.ssrc for _, event in told.events(p, StreamSilent)} == {pair.VIDEO.ssrc, pair.AUDIO.ssrc}
    assert p.receiver is not None
    reports = len(p.back.log)
    p.receiver.close(p.clock.now)
    p.run()
    assert len(p.back.log) > reports, "it says goodbye itself"
    assert len(told.events(p, StreamEnded)) == 2
    told.assert_balanced(p)


def test_without_sender_reports_it_plays_and_says_what_it_cannot_know() -> None:
    p = pair.meet(Conditions(delay=20 * MS, loss=1.0, only=rtcp_only))
    p.run(traffic.together(traffic.video(3 * SECOND), traffic.audio(3 * SECOND, stream=1)))
    p.finish()
    assert told.numbers(p, "audio") == list(range(150))
    assert told.numbers(p, "video") == list(range(90))
    for media in ("video", "audio"):
        assert told.stream(p, media).ledger.sent is None
    assert told.statistics(p).planned_skew is None
    told.assert_balanced(p)


@pytest.mark.parametrize(("skew", "minutes"), [(200.0, 60), (-200.0, 20)])
def test_an_hour_of_another_clock_adds_no_delay(skew: float, minutes: int) -> None:
    p = pair.meet(Conditions(delay=40 * MS, jitter=4 * MS), streams=(pair.AUDIO,), skew=skew, log=False)
    delays: list[float] = []

    def hour() -> Iterator[traffic.Item]:
        for item in slow_sound(minutes * 60 * SECOND):
            if item.at and item.at % (60 * SECOND) == 0:
                delays.append(median(told.extra_delay(p, "audio")))
                p.units.clear()
            yield item

    p.run(hour())
    early, late = median(delays[1:4]), median(delays[-3:])
    assert abs(late - early) < 5 * MS
    counts = told.stream(p, "audio").ledger
    assert counts.missed <= counts.span * 0.02
    told.assert_balanced(p)


def slow_sound(duration: int) -> Iterator[traffic.Item]:
    """A tenth of the packets of an ordinary stream, so that an hour passes quickly."""
    for number in range(duration // (200 * MS)):
        at = number * 200 * MS
        yield traffic.Item(at, 0, traffic.opus_packet(number), number * 9600)
