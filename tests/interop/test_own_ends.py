"""Our two programs on a clean loopback: nothing is lost between the encoder and what is played."""

from __future__ import annotations

import json
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from receiver.libraries import av
from tests.interop import stage
from tests.support import media, peers


def run(
    folder: Path, out: stage.Outputs, receiver: tuple[object, ...], sender: tuple[object, ...]
) -> dict[str, object]:
    """Sender and receiver until the source ends; the receiver's report."""
    port = peers.free_ports()
    command = stage.receiver(f"127.0.0.1:{port}", out, "--exit-on-end", *receiver)
    with peers.Process(command, folder, "receiver") as receiving:
        receiving.wait_for_port(port)
        with peers.Process(peers.sender(f"127.0.0.1:{port}", *sender), folder, "sender") as sending:
            assert sending.wait(20) == 0, sending.log
        assert receiving.wait(5) == 0, receiving.log
    report: dict[str, object] = json.loads(receiving.output)
    return report


def planes(path: Path) -> Iterator[NDArray[np.uint8]]:
    """Every picture of a file, shape (height * 3 / 2, width)."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray()


@pytest.mark.parametrize("codec", ["h264", "vp8", "jpeg"])
def test_each_picture_is_what_decoding_the_encoders_output_gives(codec: str, clip: Path, tmp_path: Path) -> None:
    """--record keeps the encoder's output as it came; FFmpeg decodes that file."""
    out, record = stage.Outputs.of(tmp_path), tmp_path / "record.mkv"
    report = run(
        tmp_path,
        out,
        ("--record", record),
        ("--video", clip, "--video-codec", codec, "--video-bitrate", "2M", "--audio", "none"),
    )
    played, encoded = list(planes(out.pictures)), list(planes(record))
    assert len(played) == len(encoded) == stage.PICTURES
    for number, (seen, wanted) in enumerate(zip(played, encoded, strict=True)):
        assert np.array_equal(seen, wanted), f"picture {number}"
    frames = stage.stream(report, "video")["frames"]
    assert (frames["received"], frames["rendered"], frames["damaged"]) == (stage.PICTURES, stage.PICTURES, 0)


def test_speech_through_opus_stays_what_it_was(tmp_path: Path) -> None:
    spoken = media.speech(tmp_path)
    with wave.open(str(spoken)) as file:
        source = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
        rate = file.getframerate()
    out = stage.Outputs.of(tmp_path)
    run(tmp_path, out, ("--video", "none"), ("--video", "none", "--audio", spoken, "--audio-bitrate", "64k"))
    heard, heard_rate = media.read_sound(out.sound)
    assert heard_rate == rate
    correlation, _ = media.best_match(source, np.concatenate((heard, np.zeros(rate, np.float32))))
    assert correlation >= 0.99
