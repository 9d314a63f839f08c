"""YUV4MPEG2, read back by FFmpeg's own demuxer."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from protocol.errors import ResourceError
from receiver.libraries import av
from receiver.media import Image
from receiver.playout.picture_file import PictureFile


def picture(number: int, size: tuple[int, int] = (162, 91), format: str = "yuv420p") -> Image:
    rng = np.random.default_rng(number)
    frame = av.VideoFrame(*size, format)
    for plane in frame.planes:
        plane.update(rng.integers(0, 256, plane.buffer_size, np.uint8))
    return Image(frame, number * 3000, 0, 0)


def visible(frame: av.VideoFrame) -> list[np.ndarray]:
    return [
        np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
        for plane in frame.planes
    ]


@pytest.mark.parametrize("format", ["yuv420p", "yuvj420p"])
def test_ffmpeg_reads_the_same_pictures(tmp_path: Path, format: str) -> None:
    path = tmp_path / "out.y4m"
    lines: list[str] = []
    output = PictureFile(str(path), lines.append)
    pictures = [picture(n, format=format) for n in range(5)]
    for each in pictures:
        output.show(each)
    output.close()
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == 5
    for frame, each in zip(frames, pictures, strict=True):
        for got, sent in zip(visible(frame), visible(each.frame), strict=True):
            np.testing.assert_array_equal(got, sent)
    assert not lines


def test_another_size_is_scaled_to_the_first(tmp_path: Path) -> None:
    path = tmp_path / "out.y4m"
    output = PictureFile(str(path), print)
    output.show(picture(0))
    output.show(picture(1, (320, 180)))
    output.show(picture(2, format="yuvj420p"))
    output.close()
    with av.open(str(path)) as container:
        assert [(f.width, f.height) for f in container.decode(video=0)] == [(162, 91)] * 3


def test_a_fifo_gets_whole_pictures_as_soon_as_it_has_a_reader(tmp_path: Path) -> None:
    fifo, lines = tmp_path / "fifo", list[str]()
    os.mkfifo(fifo)
    output = PictureFile(str(fifo), lines.append)
    output.show(picture(0, (64, 64)))
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    output.show(picture(1, (64, 64)))
    data = os.read(reader, 1 << 20)
    header, rest = data.split(b"\n", 1)
    assert header.startswith(b"YUV4MPEG2 W64 H64 F30:1")
    assert rest.startswith(b"FRAME\n")
    assert len(rest) == 6 + 64 * 64 * 3 // 2
    os.close(reader)
    for n in range(3):
        output.show(picture(n, (64, 64)))
    assert output.failed
    assert lines == [f"{fifo}: its reader is gone; pictures are not written any more"]
    output.close()


def test_a_large_picture_goes_through_a_pipe_whole(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(fifo.read_bytes()))
    reader.start()
    output = PictureFile(str(fifo), print)
    while not output._shape:
        output.show(picture(0, (1920, 1080)))
    output.close()
    reader.join(5)
    assert len(received[0]) - received[0].index(b"FRAME") == 6 + 1920 * 1080 * 3 // 2


def test_a_full_disk_is_one_line() -> None:
    lines: list[str] = []
    output = PictureFile("/dev/full", lines.append)
    for n in range(3):
        output.show(picture(n))
    output.close()
    assert lines == ["/dev/full: No space left on device; pictures are not written any more"]


def test_a_file_that_cannot_be_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="No such file or directory"):
        PictureFile(str(tmp_path / "nowhere" / "out.y4m"), print)
