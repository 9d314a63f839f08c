"""Streams from x264, libvpx and FFmpeg's MJPEG encoder; the truth is what a plain decode of the whole stream gives."""

from __future__ import annotations

from fractions import Fraction
from functools import cache

import numpy as np
import pytest

from protocol.errors import Unsupported
from receiver.decode import h264
from receiver.decode.video import VideoDecoder
from receiver.libraries import av
from receiver.media import AccessUnit, Format, StreamKey

SIZE = (160, 96)
LIVE = (("preset", "superfast"), ("tune", "zerolatency"))
H264, VP8, JPEG = Format("H264", 90000), Format("VP8", 90000), Format("JPEG", 90000)


@cache
def encoded(codec: str, options: tuple[tuple[str, str], ...], count: int = 40) -> tuple[tuple[int, bytes], ...]:
    """(number in display order, bytes) in decoding order."""
    context = av.CodecContext.create(codec, "w")
    context.width, context.height = SIZE
    context.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    context.time_base = Fraction(1, 30)
    context.options = dict(options)
    packets = []
    for number in range(count):
        frame = av.VideoFrame.from_ndarray(scene(number), "rgb24").reformat(format=context.pix_fmt)
        frame.pts, frame.time_base = number, Fraction(1, 30)
        packets += context.encode(frame)
    packets += context.encode(None)
    return tuple((packet.pts, bytes(packet)) for packet in packets)


def scene(number: int) -> np.ndarray:
    y, x = np.mgrid[0 : SIZE[1], 0 : SIZE[0]]
    return np.stack([(x + 3 * number) % 256, (y * 2 + number) % 256, (x + y + 5 * number) % 256], -1).astype(np.uint8)


def unit(number: int, data: bytes, format: Format = H264, missing: int = 0) -> AccessUnit:
    return AccessUnit(StreamKey(1), format, data, number * 3000, number * 33_000_000, number, missing)


def truth(codec: str, stream: tuple[tuple[int, bytes], ...]) -> dict[int, np.ndarray]:
    context = av.CodecContext.create(codec, "r")
    pictures = {}
    for number, data in (*stream, (None, None)):
        packet = None if data is None else av.Packet(data)
        if packet is not None:
            packet.pts = number
        pictures.update({frame.pts: frame.to_ndarray() for frame in context.decode(packet)})
    return pictures


@pytest.mark.parametrize(
    ("encoder", "decoder", "options", "format"),
    [
        ("libx264", "h264", LIVE, H264),
        ("libx264", "h264", (*LIVE, ("x264-params", "slices=4")), H264),
        ("libx264", "h264", (*LIVE, ("intra-refresh", "1"), ("g", "10")), H264),
        ("libvpx", "vp8", (("deadline", "realtime"), ("lag-in-frames", "0")), VP8),
        ("mjpeg", "mjpeg", (), JPEG),
    ],
)
def test_every_picture_comes_out_at_once_and_exact(
    encoder: str, decoder: str, options: tuple[tuple[str, str], ...], format: Format
) -> None:
    stream = encoded(encoder, options)
    expected = truth(decoder, stream)
    video = VideoDecoder(format)
    for number, data in stream:
        (image,) = video.decode(unit(number, data, format))
        assert (image.timestamp, image.playout_time, image.arrival_time) == (number * 3000, number * 33_000_000, number)
        assert not image.damaged
        assert image.frame.format.name in {"yuv420p", "yuvj420p"}
        np.testing.assert_array_equal(image.frame.to_ndarray(), expected[number])
    statistics = video.statistics()
    assert statistics.frames_received == statistics.frames_decoded == 40
    assert (statistics.width, statistics.height) == SIZE
    assert not video.needs_key_frame


def test_b_frames_come_in_display_order_each_with_its_own_times() -> None:
    stream = encoded("libx264", (("preset", "medium"), ("bf", "3")))
    assert [number for number, _ in stream] != sorted(number for number, _ in stream)
    video = VideoDecoder(H264)
    images = [image for number, data in stream for image in video.decode(unit(number, data))] + video.flush()
    assert [image.timestamp for image in images] == [3000 * number for number in range(40)]
    assert [image.playout_time for image in images] == [33_000_000 * number for number in range(40)]


def test_joining_in_the_middle_shows_nothing_before_a_key_frame() -> None:
    stream = encoded("libx264", (*LIVE, ("g", "20")))
    video = VideoDecoder(H264)
    assert video.needs_key_frame
    shown = [image for number, data in stream[5:] for image in video.decode(unit(number, data))]
    assert shown[0].timestamp == 20 * 3000
    assert len(shown) == 20
    assert not any(image.damaged for image in shown)
    assert video.statistics().dropped_decode == 15


def test_after_a_loss_pictures_are_shown_damaged_until_the_next_key_frame() -> None:
    stream = encoded("libx264", (*LIVE, ("g", "20")))
    video = VideoDecoder(H264)
    for number, data in stream[:10]:
        video.decode(unit(number, data))
    assert not video.needs_key_frame
    assert not video.decode(unit(10, b"", missing=2))
    assert video.needs_key_frame
    images = [image for number, data in stream[11:] for image in video.decode(unit(number, data))]
    assert [image.damaged for image in images] == [True] * 9 + [False] * 20
    assert not video.needs_key_frame
    assert video.statistics().damaged == 9
    assert video.statistics().dropped_network == 1


def test_damage_ends_where_intra_refresh_says() -> None:
    stream = encoded("libx264", (*LIVE, ("intra-refresh", "1"), ("g", "10")))
    expected = truth("h264", stream)
    video = VideoDecoder(H264)
    images = []
    for number, data in stream:
        if number != 12:
            images += video.decode(unit(number, data, missing=int(number == 13)))
    clean = [image.timestamp // 3000 for image in images if not image.damaged]
    assert clean[:12] == list(range(12))
    assert 20 <= clean[12] <= 31
    for image in images:
        if image.timestamp // 3000 >= clean[12]:
            error = np.abs(image.frame.to_ndarray().astype(int) - expected[image.timestamp // 3000])
            assert error.mean() < 1
    assert not video.needs_key_frame


@pytest.mark.parametrize("format", [H264, VP8, JPEG])
def test_nonsense_is_counted_and_never_raises(format: Format) -> None:
    rng = np.random.default_rng(3)
    video = VideoDecoder(format)
    for number in range(50):
        prefix = b"\0\0\1\x65" if format is H264 and number % 2 else b"\x10\x02\x00\x9d\x01\x2a" * (number % 2)
        video.decode(unit(number, prefix + rng.bytes(rng.integers(1, 300)), format))
    statistics = video.statistics()
    assert statistics.frames_received == (25 if format is H264 else 50) or format is H264
    codec = {"H264": "libx264", "VP8": "libvpx", "JPEG": "mjpeg"}[format.encoding]
    options = LIVE if format is H264 else (("deadline", "realtime"), ("lag-in-frames", "0")) if format is VP8 else ()
    shown = [i for number, data in encoded(codec, options) for i in video.decode(unit(100 + number, data, format))]
    assert len(shown) == 40, "it goes on with the next good picture"


def test_parameter_sets_may_come_from_the_description() -> None:
    stream = encoded("libx264", LIVE)
    sets = h264.parameter_sets(stream[0][1])
    bare = b"".join(b"\0\0\0\1" + nal for nal in h264.nal_units(stream[0][1]) if nal[0] & 31 in {1, 5})
    assert sets
    assert not VideoDecoder(H264).decode(unit(0, bare))
    assert len(VideoDecoder(H264, sets).decode(unit(0, bare))) == 1
    alone = VideoDecoder(H264)
    assert not alone.decode(unit(0, sets))
    assert len(alone.decode(unit(1, bare))) == 1
    assert alone.statistics().frames_received == 1


def test_other_chroma_is_converted() -> None:
    context = av.CodecContext.create("mjpeg", "w")
    context.width, context.height, context.pix_fmt, context.time_base = *SIZE, "yuvj422p", Fraction(1, 30)
    frame = av.VideoFrame.from_ndarray(scene(0), "rgb24").reformat(format="yuvj422p")
    (image,) = VideoDecoder(JPEG).decode(unit(0, bytes(context.encode(frame)[0]), JPEG))
    assert image.frame.format.name == "yuvj420p"


def test_an_unknown_encoding_is_refused() -> None:
    with pytest.raises(Unsupported):
        VideoDecoder(Format("H266", 90000))


def test_recovery_points_are_read_as_written() -> None:
    """ITU-T H.264 §D.1.8: recovery_frame_cnt is ue(v); 1, 2, 3, … are coded 1, 010, 011 (§9.1)."""
    user_data = b"\x05\x02\xaa\xbb"
    assert h264.frames_to_recovery(b"\0\0\1\x06" + user_data + b"\x06\x01\xc4\x80\0\0\1\x41\x9a") == 0
    assert h264.frames_to_recovery(b"\0\0\1\x06\x06\x01\x64\x80\0\0\1\x41\x9a") == 2
    assert h264.frames_to_recovery(b"\0\0\0\1\x41\x9a") is None
    assert h264.frames_to_recovery(b"\0\0\1\x06\x06\xff") is None
    assert h264.frames_to_recovery(b"\0\0\0\1\x65\x88") == 0
