"""Camera footage between our two programs: the pictures played are the pictures of the file."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import numpy as np

from tests.interop import stage
from tests.support import media, peers


def test_footage_sent_as_it_is_comes_out_as_it_is(tmp_path: Path) -> None:
    """--video-codec copy: no encoder in between, so every picture is identical to decoding the file."""
    footage = media.footage(tmp_path)
    port, out = peers.free_ports(), stage.Outputs.of(tmp_path)
    with peers.Process(stage.receiver(f"127.0.0.1:{port}", out, "--exit-on-end"), tmp_path, "receiver") as receiving:
        receiving.wait_for_port(port)
        options = ("--video", footage, "--video-codec", "copy", "--duration", "4s")
        with peers.Process(peers.sender(f"127.0.0.1:{port}", *options), tmp_path, "sender") as sending:
            assert sending.wait() == 0, sending.log
        assert receiving.wait(5) == 0, receiving.log
    reference = list(islice(media.lumas(footage), 150))
    found = media.align(media.lumas(out.pictures), reference)
    assert len(found) > 90
    assert min(value for _, value in found) > 60
    steps = np.diff([at for at, _ in found])
    assert np.mean(steps == 1) > 0.95
    report = json.loads(receiving.output)
    assert stage.stream(report, "video")["ledger"]["lost"] == 0
    assert stage.stream(report, "audio")["encoding"] == "opus"
