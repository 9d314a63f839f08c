"""Which picture is shown; freezes by the definition of webrtc-stats (freezeCount)."""

from __future__ import annotations

from receiver.libraries import av
from receiver.media import Image, VideoPlayoutStatistics
from receiver.playout.scheduler import VideoScheduler, combined

MS = 1_000_000
FRAME = av.VideoFrame(16, 16, "yuv420p")


def image(playout_time: int, timestamp: int = 0) -> Image:
    return Image(FRAME, timestamp, playout_time, 0)


def test_a_picture_is_shown_once_and_not_before_its_moment() -> None:
    scheduler = VideoScheduler()
    assert scheduler.next_time() is None
    first = image(100 * MS)
    scheduler.submit(first)
    assert scheduler.next_time() == 100 * MS
    assert scheduler.due(99 * MS) is None
    assert scheduler.due(100 * MS) is first
    assert scheduler.due(101 * MS) is None
    assert scheduler.statistics().frames_rendered == 1


def test_the_newest_that_is_due_wins_and_the_others_are_counted() -> None:
    scheduler = VideoScheduler()
    for n in range(4):
        scheduler.submit(image(n * 33 * MS, n))
    shown = scheduler.due(70 * MS)
    assert shown is not None
    assert shown.timestamp == 2
    assert scheduler.next_time() == 99 * MS
    assert scheduler.statistics().dropped_display == 2
    assert scheduler.statistics().dropped_late == 0


def test_what_comes_after_its_moment_is_late_unless_it_is_the_newest() -> None:
    scheduler = VideoScheduler()
    scheduler.due(100 * MS)
    for n in range(3):
        scheduler.submit(image(n * 33 * MS, n))
    shown = scheduler.due(101 * MS)
    assert shown is not None
    assert shown.timestamp == 2, "better late than a freeze"
    assert scheduler.statistics().dropped_late == 2


def test_a_delay_that_shrinks_does_not_bring_older_pictures_back() -> None:
    scheduler = VideoScheduler()
    scheduler.submit(image(200 * MS, 1))
    scheduler.submit(image(150 * MS, 2))
    assert scheduler.next_time() == 150 * MS
    shown = scheduler.due(160 * MS)
    assert shown is not None
    assert shown.timestamp == 2
    assert scheduler.due(300 * MS) is None


def test_waiting_pictures_are_bounded() -> None:
    scheduler = VideoScheduler()
    for n in range(1000):
        scheduler.submit(image(10_000 * MS + n, n))
    assert scheduler.statistics().dropped_display == 1000 - 64


def play(scheduler: VideoScheduler, times: list[int]) -> None:
    for time in times:
        scheduler.submit(image(time))
        assert scheduler.due(time) is not None


def test_freezes() -> None:
    """avg 33 ms: a gap counts from max(99, 183) ms on."""
    scheduler = VideoScheduler()
    times = [33 * MS * n for n in range(40)]
    play(scheduler, [*times, times[-1] + 182 * MS])
    assert scheduler.statistics().freeze_count == 0
    scheduler = VideoScheduler()
    play(scheduler, times)
    end = times[-1] + 500 * MS
    ongoing = scheduler.statistics(end)
    assert (ongoing.freeze_count, ongoing.total_freezes_duration_s) == (1, 0.5)
    assert scheduler.statistics().freeze_count == 0, "asking changes nothing"
    play(scheduler, [end])
    ended = scheduler.statistics(end)
    assert (ended.freeze_count, ended.total_freezes_duration_s) == (1, 0.5)


def test_a_pause_is_no_freeze() -> None:
    scheduler = VideoScheduler()
    play(scheduler, [33 * MS * n for n in range(40)])
    for n in range(40, 100):
        scheduler.submit(image(33 * MS * n))
        scheduler.skip(33 * MS * n)
    play(scheduler, [33 * MS * 100])
    statistics = scheduler.statistics()
    assert statistics.freeze_count == 0
    assert (statistics.frames_rendered, statistics.dropped_display) == (41, 60)


def test_another_source_starts_afresh() -> None:
    scheduler = VideoScheduler()
    play(scheduler, [33 * MS * n for n in range(40)])
    scheduler.begin()
    play(scheduler, [20_000 * MS])
    assert scheduler.statistics().freeze_count == 0


def test_what_comes_after_a_goodbye_is_no_freeze() -> None:
    scheduler = VideoScheduler()
    play(scheduler, [33 * MS * n for n in range(40)])
    assert scheduler.statistics(5_000 * MS).freeze_count == 1
    scheduler.rest()
    assert scheduler.statistics(5_000 * MS).freeze_count == 0


def test_files_get_every_picture_in_order() -> None:
    scheduler = VideoScheduler()
    for moment in (10, 30, 20):
        scheduler.submit(image(moment * MS))
    assert scheduler.first_due(9 * MS) is None
    shown = [scheduler.first_due(20 * MS) for _ in range(4)]
    assert [i and i.playout_time // MS for i in shown] == [10, 30, 20, None]


def test_the_two_shares_make_one() -> None:
    scheduler = VideoScheduler()
    play(scheduler, [0])
    whole = combined(VideoPlayoutStatistics(frames_decoded=3, damaged=1, width=16), scheduler.statistics())
    assert (whole.frames_decoded, whole.damaged, whole.width, whole.frames_rendered) == (3, 1, 16, 1)
