"""VLC serves, our receiver plays: judged by decoded pictures. VLC sends before anybody asks, so that what came before
PLAY is not there; and it knows no other way than UDP."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from tests.interop import ffmpeg, rtsp, stage
from tests.support import media, peers

SECONDS = 7.0
START = 4.0
"""s of the clip that may be over before we have begun."""


def test_vlc_plays_for_us(tmp_path: Path) -> None:
    peers.need("cvlc", "ffmpeg", "setpriv")
    encoded, port, out = tmp_path / "encoded.mkv", rtsp.free_port(), stage.Outputs.of(tmp_path)
    clip = media.make_clip(tmp_path / "clip.mkv", SECONDS)
    to_opus = [word for word in ffmpeg.encode(clip, "h264", encoded) if word != "copy"]
    to_opus[-1:] = ["libopus", encoded]
    with peers.Process(to_opus, tmp_path, "encode") as process:
        assert process.wait() == 0, process.log
    with peers.Process(vlc(encoded, f"rtsp://127.0.0.1:{port}/clip"), tmp_path, "vlc") as server:
        server.wait_for_tcp(port)
        command = stage.receiver(f"rtsp://127.0.0.1:{port}/clip", out, "--duration", "7s")
        with peers.Process(command, tmp_path, "receiver") as receiver:
            assert receiver.wait(20) == 0, receiver.log
            report = receiver.json()
    if not report["streams"]:
        pytest.skip(f"VLC was too slow: {receiver.log}")
    seen = media.look(out.pictures)
    assert seen.in_order
    assert len(set(seen.numbers)) >= (SECONDS - START) * media.FPS, seen.numbers
    assert seen.median_psnr > stage.PSNR["h264"]
    for kind, codec in (("video", "h264"), ("audio", "opus")):
        told = stage.stream(report, kind)
        assert told["encoding"] == stage.ENCODINGS[codec]
        assert told["ledger"]["lost"] == 0


def vlc(clip: Path, url: str) -> list[object]:
    """The command line of a server, once through the clip. VLC refuses root, who opens the file for it."""
    drop = "setpriv --reuid=65534 --regid=65534 --clear-groups" if os.geteuid() == 0 else ""
    play = f"cvlc -q --no-dbus fd://0 --sout '#rtp{{sdp={url}}}' --sout-keep"
    return ["sh", "-c", f"exec {drop} {play} < {shlex.quote(str(clip))}"]
