"""--record and MP4, read back by FFmpeg; what is decoded is compared with a plain decode of what went in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from shutil import which
from subprocess import run

import numpy as np
import pytest

from protocol.errors import ResourceError
from receiver.decode import h264
from receiver.libraries import av
from receiver.media import AccessUnit, Format, Image, StreamKey
from receiver.playout.mp4 import Mp4File
from receiver.playout.recorder import Recorder

MS = 1_000_000
OPUS, L16, PCMU = Format("opus", 48000, 2), Format("L16", 48000, 2), Format("PCMU", 8000)
H264, VP8, JPEG = Format("H264", 90000), Format("VP8", 90000), Format("JPEG", 90000)
LIVE = {"preset": "superfast", "tune": "zerolatency", "g": "30"}


def unit(format: Format, data: bytes, ssrc: int = 1) -> AccessUnit:
    return AccessUnit(StreamKey(ssrc), format, data, 0, 0, 0)


def video(codec: str, options: dict[str, str], count: int = 45) -> list[tuple[int, bytes]]:
    """(ns, bytes)"""
    context = av.CodecContext.create(codec, "w")
    context.width, context.height, context.time_base = 160, 96, Fraction(1, 30)
    context.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    context.options = options
    packets = [p for frame in scenes(count) for p in context.encode(frame.reformat(format=context.pix_fmt))]
    return [(p.pts * 1000 * MS // 30, bytes(p)) for p in packets + context.encode(None)]


def scenes(count: int) -> Iterator[av.VideoFrame]:
    y, x = np.mgrid[0:96, 0:160]
    for n in range(count):
        frame = av.VideoFrame.from_ndarray(np.stack([x + 3 * n, 2 * y + n, x + y], -1).astype(np.uint8), "rgb24")
        frame.pts, frame.time_base = n, Fraction(1, 30)
        yield frame


def opus(count: int = 75) -> list[tuple[int, bytes]]:
    context = av.CodecContext.create("libopus", "w")
    context.sample_rate, context.layout, context.format = 48000, "stereo", "flt"
    packets = []
    for n in range(count):
        t = np.arange(n * 960, (n + 1) * 960) / 48000
        tone = np.repeat((0.5 * np.sin(2 * np.pi * 440 * t)).astype(np.float32), 2)[None]
        frame = av.AudioFrame.from_ndarray(tone, "flt", "stereo")
        frame.sample_rate, frame.pts = 48000, n * 960
        packets += context.encode(frame)
    return [(n * 20 * MS, bytes(p)) for n, p in enumerate(packets)]


def decoded(name: str, packets: list[bytes]) -> list[np.ndarray]:
    context = av.CodecContext.create(name, "r")
    frames = [f for data in packets for f in context.decode(av.Packet(data))]
    return [f.to_ndarray() for f in frames + context.decode(None)]


def pictures(path: Path) -> tuple[list[np.ndarray], list[float]]:
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return [f.to_ndarray() for f in frames], [f.time for f in frames]


@pytest.mark.parametrize(
    ("encoder", "decoder", "options", "format"),
    [
        ("libx264", "h264", LIVE, H264),
        ("libx264", "h264", {"preset": "medium", "bf": "3"}, H264),
        ("libvpx", "vp8", {"deadline": "realtime", "lag-in-frames": "0"}, VP8),
        ("mjpeg", "mjpeg", {}, JPEG),
    ],
)
def test_pictures_and_sound_are_kept_as_received(
    tmp_path: Path, encoder: str, decoder: str, options: dict[str, str], format: Format
) -> None:
    path, lines = tmp_path / "out.mkv", list[str]()
    recorder = Recorder(str(path), lines.append)
    stream, sound = video(encoder, options), opus()
    for pts, data in stream:
        recorder.write(unit(format, data), pts + 40 * MS)
    for pts, data in sound:
        recorder.write(unit(OPUS, data), pts)
    recorder.close()
    assert not lines
    got, times = pictures(path)
    expected = decoded(decoder, [data for _, data in stream])
    assert len(got) == len(expected) == 45
    for mine, theirs in zip(got, expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_allclose(np.diff(times), 1 / 30, atol=0.0011)
    with av.open(str(path)) as container:
        assert [bytes(p) for p in container.demux(audio=0) if p.size] == [data for _, data in sound]
    with av.open(str(path)) as container:
        first = next(container.decode(audio=0))
    assert times[0] - first.time == pytest.approx(0.040, abs=0.010), "one clock for both"
    if which("ffprobe"):
        result = run(["ffprobe", "-v", "error", path], capture_output=True, text=True, check=True)
        assert not result.stderr


@pytest.mark.parametrize(("format", "size"), [(L16, 3840), (PCMU, 160)])
def test_plain_sound_alone(tmp_path: Path, format: Format, size: int) -> None:
    path = tmp_path / "out.mkv"
    rng = np.random.default_rng(1)
    sent = [rng.bytes(size) for _ in range(50)]
    recorder = Recorder(str(path), print, frozenset({"audio"}))
    for n, payload in enumerate(sent):
        recorder.write(unit(format, payload), n * 20 * MS)
    recorder.close()
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        assert (stream.codec_context.name, stream.rate) == ("pcm_s16be", format.clock_rate)
        played = np.concatenate([f.to_ndarray()[0] for f in container.decode(stream)])
    context = av.CodecContext.create("pcm_mulaw" if format is PCMU else "pcm_s16be", "r")
    context.sample_rate, context.layout = format.clock_rate, "mono" if format.channels == 1 else "stereo"
    expected = np.concatenate([context.decode(av.Packet(payload))[0].to_ndarray()[0] for payload in sent])
    np.testing.assert_array_equal(played, expected)


def test_the_parameter_sets_of_the_description_are_kept(tmp_path: Path) -> None:
    path, stream = tmp_path / "out.mkv", video("libx264", LIVE)
    sets = h264.parameter_sets(stream[0][1])
    bare = [b"".join(b"\0\0\0\1" + u for u in h264.nal_units(d) if u[0] & 31 not in {7, 8}) for _, d in stream]
    recorder = Recorder(str(path), print, frozenset({"video"}))
    for (pts, _), data in zip(stream, bare, strict=True):
        recorder.write(unit(H264, data), pts, sets)
    recorder.close()
    assert len(pictures(path)[0]) == 45


def test_another_ssrc_goes_on_in_the_file_and_another_format_begins_a_part(tmp_path: Path) -> None:
    path = tmp_path / "out.mkv"
    recorder = Recorder(str(path), print, frozenset({"video"}))
    first, other = video("libx264", LIVE), video("mjpeg", {})
    for pts, data in first:
        recorder.write(unit(H264, data), pts)
    for pts, data in first:
        recorder.write(unit(H264, data, ssrc=2), pts + 1700 * MS)
    for pts, data in other:
        recorder.write(unit(JPEG, data, ssrc=3), pts + 4000 * MS)
    recorder.close()
    times = pictures(path)[1]
    assert len(times) == 90
    assert times[45] == pytest.approx(1.7, abs=0.002)
    assert len(pictures(tmp_path / "out-2.mkv")[0]) == 45


def test_a_recording_begins_with_what_there_is(tmp_path: Path) -> None:
    """Video is expected and never comes; or comes without a key frame first."""
    path = tmp_path / "out.mkv"
    recorder = Recorder(str(path), print)
    for pts, data in opus(150):
        recorder.write(unit(OPUS, data), pts)
    recorder.write(unit(OPUS, b""), 0)
    recorder.close()
    with av.open(str(path)) as container:
        assert sum(bool(p.size) for p in container.demux(audio=0)) == 150
    path = tmp_path / "late.mkv"
    recorder = Recorder(str(path), print, frozenset({"video"}))
    for pts, data in video("libx264", LIVE)[5:]:
        recorder.write(unit(H264, data), pts)
    recorder.close()
    assert len(pictures(path)[0]) == 15


def test_a_full_disk_is_one_line_and_nothing_is_raised(tmp_path: Path) -> None:
    lines: list[str] = []
    (tmp_path / "out.mkv").symlink_to("/dev/full")
    recorder = Recorder(str(tmp_path / "out.mkv"), lines.append, frozenset({"video"}))
    for pts, data in video("libx264", LIVE):
        recorder.write(unit(H264, data), pts)
    recorder.close()
    assert recorder.failed
    assert lines == [f"{tmp_path / 'out.mkv'}: No space left on device; nothing more is written to it"]
    lines.clear()
    (tmp_path / "out.mp4").symlink_to("/dev/full")
    mp4 = Mp4File(str(tmp_path / "out.mp4"), 48000, 2, lines.append)
    for n, frame in enumerate(scenes(60)):
        mp4.show(Image(frame.reformat(format="yuv420p"), 0, n * 33 * MS, 0))
    mp4.close()
    assert lines == [f"{tmp_path / 'out.mp4'}: No space left on device; nothing more is written to it"]


@pytest.mark.parametrize("make", [lambda p: Recorder(p, print), lambda p: Mp4File(p, None, 2, print)])
def test_a_file_that_cannot_be_is_said_at_once(tmp_path: Path, make: object) -> None:
    with pytest.raises(ResourceError, match="No such file or directory"):
        make(str(tmp_path / "nowhere" / "out"))  # type: ignore[operator]


def test_mp4_holds_what_was_played_in_sync(tmp_path: Path) -> None:
    """A white flash and a beep at the same moment, 1 s after the first picture."""
    path = tmp_path / "out.mp4"
    mp4 = Mp4File(str(path), 48000, 2, print)
    begin = 5_000 * MS
    for n in range(60):
        frame = av.VideoFrame(162, 90, "yuv420p")
        for plane, value in zip(frame.planes, (235 if n == 30 else 16, 128, 128), strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        mp4.show(Image(frame, 0, begin + n * 1000 * MS // 30, 0))
        for part in range(3) if n else ():
            now = begin + (n * 1000 * MS + part * 333 * MS) // 30
            level = 0.5 if n == 30 else 0.0
            mp4.hear(np.full((533 + (part == 0), 2), level, np.float32), now)
    mp4.close()
    with av.open(str(path)) as container:
        video_times = [f.time for f in container.decode(video=0) if f.to_ndarray()[:90].mean() > 100]
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
        sound = np.concatenate([f.to_ndarray()[0] for f in frames])
        first = frames[0].time
    assert video_times == [pytest.approx(1.0, abs=0.001)]
    beep = np.flatnonzero(np.abs(sound) > 0.25)[0] / 48000 + first
    assert beep == pytest.approx(1.0, abs=0.025)


def test_mp4_can_be_read_while_it_is_being_written(tmp_path: Path) -> None:
    """As after a kill: all but about the last second is there."""
    path, copy = tmp_path / "out.mp4", tmp_path / "copy.mp4"
    mp4 = Mp4File(str(path), None, 2, print)
    for n, frame in enumerate(scenes(150)):
        mp4.show(Image(frame.reformat(format="yuv420p"), 0, n * 33 * MS, 0))
    end = time.monotonic() + 10
    while not mp4._writer._queue.empty() and time.monotonic() < end:
        time.sleep(0.02)
    copy.write_bytes(path.read_bytes())
    mp4.close()
    assert len(pictures(copy)[0]) > 75
    assert len(pictures(path)[0]) == 150
