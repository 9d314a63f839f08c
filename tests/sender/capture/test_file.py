"""Files are written with FFmpeg here, and read back through the source."""

import base64
import threading
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from protocol.errors import UsageError
from sender.capture.copy import parameter_sets
from sender.capture.file import open_file
from sender.capture.pace import Clock, Pace
from sender.libraries import av
from tests.support import media

RATE = 30
FRAMES = 12
MS = 1_000_000


def write(path, *, seconds=FRAMES / RATE, video="libx264", audio="aac", options=None, channels=1):
    """A short clip: picture n has the brightness 40 + 10 n, the sound is 440 Hz."""
    with av.open(str(path), "w") as container:
        if video:
            pictures = container.add_stream(video, rate=RATE, options=options or {"g": "6", "bf": "0"})
            pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
            if video == "mjpeg":
                pictures.pix_fmt = "yuvj420p"
        if audio:
            sound = container.add_stream(audio, rate=48_000, layout="mono" if channels == 1 else "stereo")
        if video:
            for number in range(round(seconds * RATE)):
                image = np.full((72, 64), 128, np.uint8)
                image[:48] = 40 + 10 * (number % 18)
                frame = av.VideoFrame.from_ndarray(image, "yuv420p")
                frame.pts = number
                container.mux(pictures.encode(frame))
            container.mux(pictures.encode(None))
        if audio:
            tone = 0.3 * np.sin(2 * np.pi * 440 / 48_000 * np.arange(round(seconds * 48_000)))
            samples = np.repeat(tone[None].astype(np.float32), channels, axis=0)
            frame = av.AudioFrame.from_ndarray(samples, "fltp", "mono" if channels == 1 else "stereo")
            frame.sample_rate, frame.pts = 48_000, 0
            fifo = av.AudioFifo()
            fifo.write(frame)
            size = sound.codec_context.frame_size or 1024
            converted = av.AudioResampler(format=sound.format, layout=sound.layout, rate=48_000)
            while (part := fifo.read(size, partial=True)) is not None:
                for piece in converted.resample(part):
                    container.mux(sound.encode(piece))
            container.mux(sound.encode(None))
    return str(path)


def read_all(source, limit=1000):
    items = []
    while len(items) < limit and (item := source.read()) is not None:
        items.append(item)
    return items


def brightness(picture):
    return round(float(np.mean(picture.frame.reformat(format="gray").to_ndarray())))


@pytest.fixture
def opened():
    sources = []
    yield lambda *args, **kwargs: sources.append(open_file(*args, **kwargs)) or sources[-1]
    for source in sources:
        source.close()


@pytest.fixture
def clip(tmp_path):
    return write(tmp_path / "clip.mp4")


def test_pictures_come_in_order_when_they_are_due(clip, opened):
    video = opened(clip, video=True, audio=False).video
    assert (video.width, video.height, video.frame_rate) == (64, 48, Fraction(30))
    pictures = []
    while (picture := video.read()) is not None:
        assert time.monotonic_ns() >= picture.capture_time
        pictures.append(picture)
    assert [p.media_time for p in pictures] == pytest.approx([n * 1e9 / RATE for n in range(FRAMES)], abs=MS)
    start = pictures[0].capture_time
    assert all(p.capture_time - start == p.media_time for p in pictures)
    luma = [brightness(p) for p in pictures]
    assert luma == sorted(luma)
    assert len(set(luma)) == FRAMES


def test_sound_is_whole_and_in_blocks(tmp_path, opened):
    audio = opened(write(tmp_path / "tone.wav", video=None, audio="pcm_s16le"), video=False, audio=True).audio
    assert (audio.rate, audio.channels) == (48_000, 1)
    blocks = read_all(audio)
    assert max(len(b.samples) for b in blocks) == 480
    samples = np.concatenate([b.samples for b in blocks])[:, 0]
    expected = 0.3 * np.sin(2 * np.pi * 440 / 48_000 * np.arange(19_200))
    assert np.abs(samples - expected).max() < 1e-4
    assert [b.position for b in blocks] == np.cumsum([0] + [len(b.samples) for b in blocks[:-1]]).tolist()


def test_blocks_are_of_one_length_whatever_the_file_s_frames_are(tmp_path, opened):
    """AAC's have 1024 samples. A short block would come before its time, and the packets around it unevenly."""
    sound = opened(write(tmp_path / "tone.mp4", video=None), video=False, audio=True).audio
    blocks = read_all(sound)
    lengths = [len(block.samples) for block in blocks]
    assert set(lengths[:-1]) == {480}
    assert [block.position for block in blocks] == list(np.cumsum([0, *lengths[:-1]]))
    steps = np.diff([block.capture_time for block in blocks])
    assert set(steps.tolist()) == {10 * MS}


def test_both_streams_are_on_one_clock(clip, opened):
    sources = opened(clip, video=True, audio=True)
    heard = []
    listener = threading.Thread(target=lambda: heard.extend(read_all(sources.audio)))
    listener.start()
    pictures = read_all(sources.video)
    listener.join(5)
    origin = pictures[0].capture_time - pictures[0].media_time
    for block in heard:
        assert abs(block.capture_time - origin - block.position * 1_000_000_000 / 48_000) < MS


def test_a_loop_goes_on_without_a_seam(tmp_path, opened):
    path = write(tmp_path / "loop.mkv", seconds=0.2, audio="pcm_s16le")
    sources = opened(path, video=True, audio=True, loop=True)
    heard = []
    listener = threading.Thread(target=lambda: heard.extend(read_all(sources.audio, 60)))
    listener.start()
    pictures = read_all(sources.video, 15)
    listener.join(5)
    assert [p.media_time for p in pictures] == pytest.approx([n * 1e9 / RATE for n in range(15)], abs=2 * MS)
    assert [brightness(p) for p in pictures[:6]] == [brightness(p) for p in pictures[6:12]]
    # 0.2 s are 88 whole cycles: the tone goes on too.
    samples = np.concatenate([b.samples for b in heard])[:, 0]
    expected = 0.3 * np.sin(2 * np.pi * 440 / 48_000 * np.arange(len(samples)))
    assert np.corrcoef(samples, expected)[0, 1] > 0.999
    assert heard[-1].position + len(heard[-1].samples) == len(samples)


def test_stereo_stays_stereo(tmp_path, opened):
    path = write(tmp_path / "stereo.mp4", video=None, channels=2)
    audio = opened(path, video=False, audio=True).audio
    assert audio.channels == 2
    assert audio.read().samples.shape[1] == 2


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize("b_frames", [0, 2])
def test_copy_gives_the_files_own_h264(tmp_path, opened, suffix, b_frames):
    options = {"g": "6", "bf": str(b_frames), "b_strategy": "0"}
    path = write(tmp_path / f"copy.{suffix}", audio=None, options=options)
    video = opened(path, video=True, audio=False, copy=True).video
    units = []
    while (unit := video.read()) is not None:
        assert time.monotonic_ns() >= unit.capture_time
        units.append(unit)
    assert video.encoding == "H264"
    assert len(units) == FRAMES
    assert all(unit.data.startswith((b"\0\0\0\1", b"\0\0\1")) for unit in units)
    # Decoding order on the wire, the moment of showing in the timestamp.
    shown = [unit.timestamp for unit in units]
    grain = 90 if suffix == "mkv" else 0  # Matroska counts in ms
    assert sorted(shown) == pytest.approx([n * 3000 for n in range(FRAMES)], abs=grain)
    assert (shown == sorted(shown)) == (b_frames == 0)
    keys = [unit for unit in units if unit.key_frame]
    assert len(keys) == 2
    sets = [base64.b64decode(text) for text in video.format_parameters["sprop-parameter-sets"].split(",")]
    assert all(b"\0\0\1" + unit in key.data for unit in sets for key in keys)
    decoder = av.CodecContext.create("h264", "r")
    decoded = [frame for unit in units for frame in decoder.decode(av.Packet(unit.data))] + decoder.decode(None)
    with av.open(path) as container:
        for ours, theirs in zip(decoded, container.decode(video=0), strict=True):
            np.testing.assert_array_equal(ours.to_ndarray(), theirs.to_ndarray())


def test_copy_of_other_codecs(tmp_path, opened):
    vp8 = opened(
        write(tmp_path / "a.webm", video="libvpx", audio=None, options={}), video=True, audio=False, copy=True
    ).video
    assert vp8.encoding == "VP8"
    assert vp8.read().key_frame
    jpeg = opened(
        write(tmp_path / "a.avi", video="mjpeg", audio=None, options={}), video=True, audio=False, copy=True
    ).video
    assert jpeg.read().data[:2] == b"\xff\xd8"
    with pytest.raises(UsageError, match="--video-codec h264"):
        open_file(write(tmp_path / "b.mp4", video="mpeg4", audio=None, options={}), video=True, audio=False, copy=True)


def test_parameter_sets_of_an_avc_configuration_record():
    # ISO/IEC 14496-15 §5.3.3.1.2: version, profile, compatibility, level, 4-byte lengths, one SPS, one PPS.
    record = bytes.fromhex("0142c01effe1000467640001") + bytes.fromhex("01000268ee")
    assert parameter_sets(record) == bytes.fromhex("0000000167640001") + bytes.fromhex("0000000168ee")
    assert parameter_sets(b"") == b""


@pytest.mark.parametrize(("video", "audio"), [(True, False), (False, True)])
def test_a_stream_that_is_not_there(tmp_path, video, audio):
    path = write(tmp_path / "one.mkv", video=None if video else "libx264", audio=None if audio else "aac")
    with pytest.raises(UsageError, match=r"has no (video|audio): use --(video|audio) none"):
        open_file(path, video=video, audio=audio)


def test_what_is_not_a_media_file(tmp_path):
    (tmp_path / "text.mp4").write_text("no pictures here")
    for path in (tmp_path / "text.mp4", tmp_path / "missing.mp4", tmp_path):
        with pytest.raises(UsageError) as refusal:
            open_file(str(path), video=True, audio=False)
        assert str(refusal.value).startswith(f"cannot read {path}: ")
        assert "\n" not in str(refusal.value)


def test_a_damaged_file_plays_what_it_can(tmp_path, opened):
    path = Path(write(tmp_path / "cut.ts", audio=None))
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 400] = bytes(400)
    path.write_bytes(data[: -len(data) // 8])
    assert 0 < len(read_all(opened(str(path), video=True, audio=False).video)) <= FRAMES


def test_closing_ends_a_read(clip):
    sources = open_file(clip, video=True, audio=True, loop=True)
    began = threading.Event()

    def read() -> None:  # the only reader: a decoder belongs to one thread
        while sources.video.read() is not None:
            began.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert began.wait(5)
    sources.close()
    reader.join(2)
    assert not reader.is_alive()


def test_closing_one_stream_leaves_the_other(clip, opened):
    sources = opened(clip, video=True, audio=True)
    sources.video.read()
    sources.video.close()
    assert sources.video.read() is None
    blocks = read_all(sources.audio)
    assert blocks[-1].position > 0.3 * 48_000


def test_a_slow_reader_skips_what_is_too_late(tmp_path, opened):
    video = opened(write(tmp_path / "slow.mp4", seconds=1, audio=None), video=True, audio=False).video
    video.read()
    time.sleep(0.8)
    assert video.read().media_time > 200 * MS
    assert video.skipped > 3


def test_a_live_source_is_never_in_the_future():
    pace = Pace(Clock(live=True))
    before = pace.due(0)
    assert pace.due(5_000 * MS) <= time.monotonic_ns()  # three packets at once: what was buffered
    assert pace.due(1_000 * MS) < before
    assert pace.wait(pace.due(5_000 * MS))


def test_footage(opened, tmp_path):
    path = media.footage(tmp_path)
    with av.open(str(path)) as container:
        size = container.streams.video[0].width, container.streams.video[0].height
    sources = opened(str(path), video=True, audio=True)
    picture, sound = sources.video.read(), sources.audio.read()
    assert (picture.frame.width, picture.frame.height) == size
    assert sound.samples.shape == (480, 1) or len(sound.samples) < 480
