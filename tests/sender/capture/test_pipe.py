import os
import subprocess
import sys
import threading
import time
from fractions import Fraction

import numpy as np
import pytest

from protocol.errors import ResourceError, UsageError
from sender.capture.pipe import Header, is_pipe, open_pipe, parse_header
from sender.libraries import av

HEADER = b"YUV4MPEG2 W16 H8 F25:1 Ip A1:1 C420jpeg\n"
SIZE = 16 * 8 * 3 // 2


@pytest.fixture
def fifo(tmp_path):
    path = str(tmp_path / "fifo")
    os.mkfifo(path)
    return path


@pytest.fixture
def piped(fifo):
    """(source, file to write to) after the header."""
    keeper = os.open(fifo, os.O_RDWR)
    os.write(keeper, HEADER)
    source = open_pipe(fifo)
    with open(fifo, "wb", buffering=0) as writer:
        os.close(keeper)
        yield source, writer
    source.close()


def pixels(value):
    return bytes([value]) * SIZE


@pytest.mark.parametrize(
    ("line", "header"),
    [
        (b"YUV4MPEG2 W640 H360 F30:1 Ip A1:1 C420jpeg\n", Header(640, 360, Fraction(30), "yuv420p")),
        (b"YUV4MPEG2 W640 H360\n", Header(640, 360, Fraction(30), "yuv420p")),
        (b"YUV4MPEG2 W5 H3 F30000:1001 C420mpeg2 XYSCSS=420MPEG2\n", Header(5, 3, Fraction(30000, 1001), "yuv420p")),
        (b"YUV4MPEG2 W6 H4 F0:0 C422\n", Header(6, 4, Fraction(30), "yuv422p")),
        (b"YUV4MPEG2 W6 H4 F25:1 C444\n", Header(6, 4, Fraction(25), "yuv444p")),
        (b"YUV4MPEG2 W6 H4 F25:1 Cmono\n", Header(6, 4, Fraction(25), "gray")),
    ],
)
def test_headers(line, header):
    assert parse_header(line) == header


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b"RIFF....AVI \n", "is not YUV4MPEG2"),
        (b"\xff\xd8\xff\xe0\n", "is not YUV4MPEG2"),
        (b"\n", "is not YUV4MPEG2"),
        (b"YUV4MPEG2 W640\n", "width and height"),
        (b"YUV4MPEG2 W0 H360\n", "width and height"),
        (b"YUV4MPEG2 W640 H99999999\n", "width and height"),
        (b"YUV4MPEG2 W640 H360 It\n", "interlaced"),
        (b"YUV4MPEG2 W640 H360 C420p10\n", "C420p10"),
    ],
)
def test_headers_that_are_refused(fifo, line, complaint):
    keeper = os.open(fifo, os.O_RDWR)
    os.write(keeper, line)
    try:
        with pytest.raises(UsageError, match=complaint) as refusal:
            open_pipe(fifo)
    finally:
        os.close(keeper)
    assert str(refusal.value).startswith(fifo)


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p", "yuv444p", "gray"])
@pytest.mark.parametrize("size", [(64, 48), (37, 23)])
def test_pictures_of_another_writer(tmp_path, pixel_format, size):
    """FFmpeg writes the stream, and reads the same file: the pixels are those."""
    path = str(tmp_path / "clip.y4m")
    with av.open(path, "w", format="yuv4mpegpipe", options={"strict": "-1"}) as container:
        stream = container.add_stream("wrapped_avframe", rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, pixel_format
        for number in range(3):
            image = np.random.default_rng(number).integers(0, 255, (size[1], size[0], 3), np.uint8)
            frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(format=pixel_format)
            frame.pts = number
            container.mux(stream.encode(frame))
    source = open_pipe(path)
    pictures = [source.read() for _ in range(3)]
    assert source.read() is None
    source.close()
    with av.open(path) as container:
        for ours, theirs in zip(pictures, container.decode(video=0), strict=True):
            assert ours.frame.format.name == theirs.format.name == pixel_format
            for mine, other in zip(ours.frame.planes, theirs.planes, strict=True):
                rows = [np.frombuffer(memoryview(p), np.uint8).reshape(-1, p.line_size) for p in (mine, other)]
                np.testing.assert_array_equal(rows[0][: other.height, : other.width], rows[1][:, : other.width])
    # A file is paced by its rate.
    assert [p.media_time for p in pictures] == [0, 40_000_000, 80_000_000]
    assert pictures[2].capture_time - pictures[0].capture_time == 80_000_000


def test_a_picture_is_there_as_soon_as_its_last_byte(piped):
    source, writer = piped
    got = []
    reader = threading.Thread(target=lambda: got.append((source.read(), time.monotonic_ns())))
    reader.start()
    writer.write(b"FRAME\n" + pixels(77)[:-1])
    time.sleep(0.1)
    assert not got
    written = time.monotonic_ns()
    writer.write(pixels(77)[-1:])
    reader.join(2)
    picture, _ = got[0]
    assert picture.capture_time >= written
    assert (picture.frame.to_ndarray() == 77).all()


def test_frame_lines_with_parameters_and_pictures_in_pieces(piped):
    source, writer = piped
    stream = b"FRAME Ip XPARAM=1\n" + pixels(1) + b"FRAME\n" + pixels(2) + b"FRAME I?\n" + pixels(3)
    writing = threading.Thread(target=lambda: [writer.write(stream[n : n + 7]) for n in range(0, len(stream), 7)])
    writing.start()
    for value in (1, 2, 3):
        assert (source.read().frame.to_ndarray() == value).all()
    writing.join()
    writer.close()
    assert source.read() is None


def test_media_time_is_that_of_arrival(piped):
    source, writer = piped
    pictures = []
    for value in range(3):
        writer.write(b"FRAME\n" + pixels(value))
        pictures.append(source.read())
        time.sleep(0.02)
    assert pictures[0].media_time == 0
    for picture in pictures:
        assert picture.media_time == picture.capture_time - pictures[0].capture_time


@pytest.mark.parametrize("rest", [b"FRAME\n" + b"x" * 50, b"FRA", b"FRAME Ip\n" + b"x" * (SIZE - 1)])
def test_an_end_inside_a_picture_is_one_clear_line(piped, rest):
    source, writer = piped
    writer.write(b"FRAME\n" + pixels(5) + rest)
    writer.close()
    assert source.read() is not None
    with pytest.raises(ResourceError, match="ended in the middle of a picture"):
        source.read()


def test_garbage_between_pictures(piped):
    source, writer = piped
    writer.write(b"NOISE\n" + pixels(5))
    with pytest.raises(ResourceError, match="no FRAME where picture 1 should start"):
        source.read()


def test_waiting_for_a_writer_can_be_given_up(fifo):
    stop, outcome = threading.Event(), []

    def attempt():
        try:
            open_pipe(fifo, stop)
        except ResourceError as error:
            outcome.append(str(error))

    waiting = threading.Thread(target=attempt)
    waiting.start()
    stop.set()
    waiting.join(2)
    assert "had not begun" in outcome[0]


def test_closing_ends_a_read(piped):
    source, _ = piped
    got = []
    reader = threading.Thread(target=lambda: got.append(source.read()))
    reader.start()
    time.sleep(0.05)
    source.close()
    reader.join(2)
    assert got == [None]
    assert source.read() is None
    source.close()


def test_standard_input():
    code = "from sender.capture.pipe import open_pipe as o; s=o('-'); print(s.width, s.read().frame, s.read())"
    done = subprocess.run(
        [sys.executable, "-c", code], input=HEADER + b"FRAME\n" + pixels(9), capture_output=True, timeout=30, check=True
    )
    assert done.stdout.startswith(b"16 <av.VideoFrame")
    assert done.stdout.rstrip().endswith(b"None")


def test_what_cannot_be_opened(tmp_path, fifo):
    with pytest.raises(UsageError, match="cannot read"):
        open_pipe(str(tmp_path / "missing"))
    assert is_pipe("-")
    assert is_pipe(fifo)
    assert not is_pipe(str(tmp_path))
    assert not is_pipe(str(tmp_path / "missing"))
