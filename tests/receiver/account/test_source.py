"""Probation, wraps, gaps and restarts of one SSRC."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.datagram import Batch
from protocol.rtp import RtpPacket, parse_batch
from receiver.account.source import Segment, SourceTracker

SECOND = 1_000_000_000
RATE = 90_000
Packet = tuple[int, float, float]
"""extended number, RTP time in seconds, arrival in seconds."""


def feed(tracker: SourceTracker, packets: list[Packet], timestamp_offset: int = 4_294_900_000) -> list[Segment]:
    """All in one batch; each payload is its number in 8 bytes."""
    datagrams = [
        bytes(RtpPacket(96, n & 0xFFFF, (timestamp_offset + round(t * RATE)) & 0xFFFF_FFFF, 1, n.to_bytes(8, "big")))
        for n, t, _ in packets
    ]
    batch = Batch.of(datagrams, 0)
    arrivals = np.array([round(a * SECOND) for _, _, a in packets], np.int64)
    return tracker.track(parse_batch(batch), arrivals, batch.buffer)


def payloads(segment: Segment) -> list[int]:
    offsets = segment.headers.payload_offset.tolist()
    return [int.from_bytes(segment.buffer[o : o + 8].tobytes(), "big") for o in offsets]


def stream(first: int, count: int, start: float = 0.0, spacing: float = 0.001) -> list[Packet]:
    return [(first + i, start + i * spacing, start + i * spacing) for i in range(count)]


def numbers(segments: list[Segment], epoch: int) -> list[int]:
    return [n for s in segments if s.epoch == epoch for n in s.extended.tolist()]


def test_the_first_packet_waits_for_the_second_and_is_not_lost() -> None:
    tracker = SourceTracker(RATE)
    assert feed(tracker, [(10, 0.0, 0.0)]) == []
    assert not tracker.confirmed
    segments = feed(tracker, [(11, 0.02, 0.02), (12, 0.04, 0.04)])
    assert numbers(segments, 0) == [65_546, 65_547, 65_548]
    assert [n for s in segments for n in payloads(s)] == [10, 11, 12]
    assert segments[0].arrival_times.tolist() == [0]
    ticks = np.concatenate([s.timestamps for s in segments])
    assert np.diff(ticks).tolist() == [1800, 1800]


def test_a_whole_first_batch_comes_out_at_once() -> None:
    segments = feed(SourceTracker(RATE), stream(10, 50))
    assert numbers(segments, 0) == list(range(65_546, 65_596))


def test_probation_survives_loss_and_reordering() -> None:
    segments = feed(SourceTracker(RATE), [(10, 0.0, 0.0), (12, 0.02, 0.02), (14, 0.04, 0.04), (13, 0.03, 0.05)])
    assert sorted(numbers(segments, 0)) == [65_546, 65_548, 65_549, 65_550]


def test_random_packets_never_become_a_stream() -> None:
    random = np.random.default_rng(1)
    tracker = SourceTracker(RATE)
    for i in range(3000):
        n, t = int(random.integers(65_536)), float(random.integers(40_000))
        assert feed(tracker, [(n, t, i / 1000)]) == []
    assert tracker.unconfirmed == 3000 - 64


def test_wrap_at_65530_and_more_than_two_cycles() -> None:
    tracker = SourceTracker(RATE)
    sent = stream(65_530, 200_000)
    found: list[int] = []
    for start in range(0, len(sent), 1000):
        found += numbers(feed(tracker, sent[start : start + 1000]), 0)
    assert found == list(range(131_066, 331_066))


def test_timestamps_unwrap_with_pictures_that_share_one() -> None:
    tracker = SourceTracker(RATE)
    segments = feed(tracker, [(i, i // 4 / 30, i // 4 / 30) for i in range(200)])
    ticks = np.concatenate([s.timestamps for s in segments])
    assert np.diff(ticks).tolist() == [3000 if i % 4 == 3 else 0 for i in range(199)]


def test_a_blackout_is_loss_however_long() -> None:
    """2 s at 2,000 packets/s are 4,000 lost packets; 60 s are 120,000, more than a whole cycle."""
    for seconds in (2.0, 20.0, 60.0):
        tracker = SourceTracker(RATE)
        feed(tracker, stream(65_530, 12_000, spacing=0.0005))
        lost = int(seconds * 2000)
        segments = feed(tracker, stream(65_530 + 12_000 + lost, 20, 6.0 + seconds, 0.0005))
        assert tracker.epoch == 0
        assert numbers(segments, 0)[0] == 65_536 + 65_530 + 12_000 + lost


def test_a_long_loss_before_the_rate_is_known() -> None:
    tracker = SourceTracker(RATE)
    feed(tracker, stream(100, 1000, spacing=0.00001))
    segments = feed(tracker, stream(11_100, 1000, 0.11, 0.00001))
    assert tracker.epoch == 0
    assert numbers(segments, 0) == list(range(76_636, 77_636))


def test_the_senders_range_resolves_cycles_that_time_cannot() -> None:
    tracker = SourceTracker(RATE)
    feed(tracker, stream(100, 1000))
    tracker.sender_range(65_536 + 1100 + 131_072)
    segments = feed(tracker, stream(1100 + 131_072, 3, 1.5))
    assert numbers(segments, 0)[0] == 65_536 + 1100 + 131_072


def test_a_pause_is_no_loss() -> None:
    tracker = SourceTracker(RATE)
    feed(tracker, stream(100, 5000))
    segments = feed(tracker, stream(5100, 20, 60.0))
    assert numbers(segments, 0)[0] == 65_536 + 5100


def test_restart_with_the_same_ssrc_is_a_new_epoch() -> None:
    for first, media_start in ((30_000, 20_000.0), (900, 9_000.0), (1500, 33.0), (7000, 5.5)):
        tracker = SourceTracker(RATE)
        feed(tracker, stream(100, 1000))
        again = [(n, media_start + t, a) for n, t, a in stream(first, 200, 1.2)]
        segments = feed(tracker, again)
        assert tracker.epoch == 1, first
        assert numbers(segments, 1) == list(range(65_536 + first, 65_536 + first + 200))


def test_restart_from_the_same_numbers_and_times() -> None:
    tracker = SourceTracker(RATE)
    feed(tracker, stream(100, 10_000))
    segments = feed(tracker, [(n, t, t + 10.5) for n, t, _ in stream(100, 50)])
    assert tracker.epoch == 1
    assert len(numbers(segments, 1)) == 50


def test_a_falling_sender_count_is_a_restart() -> None:
    tracker = SourceTracker(RATE)
    feed(tracker, stream(100, 1000))
    tracker.sender_report(1 << 32, 1000)
    tracker.sender_report((1 << 32) - 5, 900)  # an old report that was overtaken
    segments = feed(tracker, stream(1100, 10, 1.0))
    assert tracker.epoch == 0
    tracker.sender_report(2 << 32, 3)
    segments = feed(tracker, stream(1110, 10, 1.1))
    assert tracker.epoch == 1
    assert len(numbers(segments, 1)) == 10


def test_after_bye_stragglers_belong_to_the_old_epoch() -> None:
    tracker = SourceTracker(RATE)
    feed(tracker, stream(100, 100))
    tracker.end_epoch()
    assert numbers(feed(tracker, [(190, 0.09, 0.2)]), 0) == [65_726]
    assert numbers(feed(tracker, stream(200, 5, 0.3)), 1) == list(range(65_736, 65_741))


def test_reordering_and_duplicates_stay_in_the_epoch() -> None:
    tracker = SourceTracker(RATE)
    feed(tracker, stream(65_000, 1000))
    packets = stream(66_000, 500, 1.0)
    shuffled = [packets[i] for i in np.random.default_rng(2).permutation(500)]
    segments = feed(tracker, shuffled + packets[:10])
    assert numbers(segments, 0) == [65_536 + n for n, _, _ in [*shuffled, *packets[:10]]]


def test_a_timestamp_jump_alone_is_no_restart() -> None:
    tracker = SourceTracker(RATE)
    feed(tracker, stream(100, 100))
    segments = feed(tracker, [(200 + i, 9_000.0 + i / 1000, 0.1 + i / 1000) for i in range(20)])
    assert numbers(segments, 0) == list(range(65_736, 65_756))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_half_of_all_packets_lost_in_batches_of_any_size(data: st.DataObject) -> None:
    """Extended numbers are those sent, whatever is missing, doubled or moved by up to 60 ms."""
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    first = data.draw(st.integers(0, 65_535))
    sent = stream(first, 3000)
    kept = [(n, t, a + float(random.random()) * 0.06) for n, t, a in sent if random.random() < 0.5]
    kept.sort(key=lambda packet: packet[2])
    tracker = SourceTracker(RATE)
    segments: list[Segment] = []
    at = 0
    while at < len(kept):
        size = data.draw(st.sampled_from([1, 2, 7, 64, 500]))
        segments += feed(tracker, kept[at : at + size])
        at += size
    assert {s.epoch for s in segments} == {0}
    shift = segments[0].extended[0] - payloads(segments[0])[0]
    assert [n for s in segments for n in (s.extended - shift).tolist()] == [n for s in segments for n in payloads(s)]
    assert sum(len(s.extended) for s in segments) == len(kept)
