"""Which damaged pictures are shown, and how long damage lasts. Why: see receiver.decode.damage."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from receiver.decode.damage import MOST_HELD, Hold, Recovery
from receiver.decode.video import VideoDecoder
from receiver.libraries import av
from receiver.media import AccessUnit
from tests.receiver.decode.test_video import H264, JPEG, LIVE, encoded, scene, unit

LONG = (*LIVE, ("g", "1000"))
REFRESHED = (*LIVE, ("intra-refresh", "1"), ("g", "20"))


def shown(video: VideoDecoder, units: list[AccessUnit]) -> list[int]:
    """Numbers of the pictures that came out."""
    return [image.timestamp // 3000 for each in units for image in video.decode(each)]


def units(numbers: range, options: tuple[tuple[str, str], ...] = LONG) -> list[AccessUnit]:
    stream = encoded("libx264", options)
    return [unit(number, stream[number][1]) for number in numbers]


def gone(before: int) -> AccessUnit:
    """The place of pictures that are missing before this one: it has that one's timestamp."""
    return replace(unit(before, b""), missing=4, packets=4)


@pytest.mark.parametrize(("missing", "held"), [(1, False), (4, False), (5, True), (9, True)])
def test_a_picture_of_which_more_than_forty_percent_are_missing_is_not_shown(missing: int, held: bool) -> None:
    """Of ten packets; the next is predicted from it and is shown."""
    video = VideoDecoder(H264)
    shown(video, units(range(10)))
    partial = replace(units(range(10, 11))[0], missing=missing, packets=10)
    assert shown(video, [partial]) == ([] if held else [10])
    assert shown(video, units(range(11, 20))) == list(range(11, 20))
    statistics = video.statistics()
    assert (statistics.held, statistics.damaged) == ((1, 9) if held else (0, 10))
    assert statistics.frames_decoded == 20


@pytest.mark.parametrize(("lost", "held"), [(1, 0), (2, 0), (3, MOST_HELD), (15, MOST_HELD)])
def test_after_three_missing_pictures_the_last_good_one_stays_for_a_while(lost: int, held: int) -> None:
    video = VideoDecoder(H264)
    shown(video, units(range(10)))
    after = 10 + lost
    assert shown(video, [gone(after), *units(range(after, 40))]) == list(range(after + held, 40))
    assert video.statistics().held == held


def test_a_key_frame_ends_it() -> None:
    options = (*LIVE, ("g", "20"))
    video = VideoDecoder(H264)
    shown(video, units(range(10), options))
    assert shown(video, [gone(13), *units(range(13, 40), options)]) == list(range(20, 40))
    statistics = video.statistics()
    assert statistics.held == 7
    assert statistics.recovery_p50_ms == pytest.approx(10 * 33, rel=0.04), "pictures 10 to 20, 33 ms each"


def test_the_end_of_an_undisturbed_refresh_is_clean() -> None:
    """x264 sends a recovery point at each beginning of a refresh; the picture is whole when it has passed."""
    video = VideoDecoder(H264)
    stream = units(range(40), REFRESHED)
    stream[5] = replace(stream[5], missing=1, packets=4)
    images = [image for each in stream for image in video.decode(each)]
    clean = next(image for image in images if image.timestamp > 5 * 3000 and not image.damaged)
    found = video.statistics().recovery_p95_ms
    assert found is not None
    assert found == pytest.approx((clean.playout_time - 5 * 33_000_000) / 1e6, rel=0.04)
    assert 15 * 33 <= found <= 35 * 33, "what is left of one refresh, and the next"


def test_what_loses_in_every_picture_is_not_held_for_good() -> None:
    hold = Hold()
    decisions = [hold.holds(0.9) for _ in range(100)]
    assert decisions == [True] * MOST_HELD + [False] * 90
    assert not hold.holds(0.1)
    assert hold.holds(0.9)


def test_a_loss_within_a_recovery_is_part_of_it() -> None:
    recovery = Recovery()
    assert recovery.percentile_ms(0.5) is None
    recovery.damaged(1_000_000_000)
    recovery.damaged(1_500_000_000)
    recovery.clean(2_000_000_000)
    recovery.clean(3_000_000_000)
    assert recovery.percentile_ms(0.5) == pytest.approx(1000, rel=0.02)
    assert recovery.percentile_ms(0.95) == recovery.percentile_ms(0.5)


def test_a_jpeg_with_grey_in_it_is_not_shown() -> None:
    """Unless it has restart markers: then what is missing was taken from the picture before."""
    plain, marked = jpeg(0), jpeg(4)
    for data, worth in ((plain, False), (marked, True)):
        video = VideoDecoder(JPEG)
        assert len(video.decode(unit(0, data, JPEG))) == 1
        assert bool(video.decode(replace(unit(1, data, JPEG), missing=1, packets=5))) is worth
        assert len(video.decode(unit(2, data, JPEG))) == 1
        assert video.statistics().held == (not worth)


def jpeg(slices: int) -> bytes:
    """By FFmpeg, which puts a restart marker before each slice but the first; 0: none."""
    context = av.CodecContext.create("mjpeg", "w")
    context.width, context.height, context.pix_fmt = 160, 96, "yuvj420p"
    context.time_base = Fraction(1, 30)
    context.thread_count = max(1, slices)
    if slices:
        context.thread_type = "SLICE"
        context.options = {"slices": str(slices)}
    frame = av.VideoFrame.from_ndarray(scene(0), "rgb24").reformat(format="yuvj420p")
    data = bytes(next(iter([*context.encode(frame), *context.encode(None)])))
    assert (b"\xff\xdd\x00\x04" in data) is bool(slices)
    return data
