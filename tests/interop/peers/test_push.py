"""Our sender pushes: to GStreamer's RTSP server and to our receiver, judged by decoded pictures and sound."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.interop import gstreamer, rtsp, stage
from tests.support import certificates, peers

SERVER = peers.ROOT / "tests" / "support" / "gst_rtsp_server.py"


@contextmanager
def recording(folder: Path, out: stage.Outputs, *options: object) -> Iterator[int]:
    """The port of GStreamer's server, which writes what is announced as /door to files."""
    peers.need("gst-launch-1.0")
    to_pictures = (
        f"videoconvert ! video/x-raw,format=I420,colorimetry=bt601 ! y4menc ! filesink location={out.pictures}"
    )
    to_sound = f"audioconvert ! audio/x-raw,format=S16LE,channels=1 ! wavenc ! filesink location={out.sound}"
    video = gstreamer.DECODE["h264"].replace("rtph264depay", "rtph264depay name=depay0")
    audio = gstreamer.DECODE["opus"].replace("rtpopusdepay", "rtpopusdepay name=depay1")
    launch = f"{video} ! {to_pictures} {audio} ! {to_sound}"
    command = ["/usr/bin/python3", SERVER, "--record", "--path", "/door", "--launch", launch, *options]
    with peers.Process(command, folder, "server") as server:
        server.wait_for_text("ready")
        yield int(server.output.split()[1])


def push(folder: Path, clip: Path, url: str, *options: object) -> str:
    """Sends the clip, and what was said meanwhile."""
    with peers.Process(stage.sender(url, clip, "h264", "opus", *options), folder, "sender") as sending:
        assert sending.wait() == 0, sending.log
        report = sending.json()
    assert report["error"] is None
    return sending.log


@pytest.mark.parametrize(("protocols", "words"), [("udp", "by UDP"), ("tcp", "by TCP")])
def test_gstreamer(clip: Path, tmp_path: Path, protocols: str, words: str) -> None:
    out = stage.Outputs.of(tmp_path)
    with recording(tmp_path, out, "--protocols", protocols) as port:
        assert words in push(tmp_path, clip, f"rtsp://127.0.0.1:{port}/door")
    stage.check(out, "h264", "opus")


def test_gstreamer_with_tls_and_a_password(clip: Path, tmp_path: Path) -> None:
    out = stage.Outputs.of(tmp_path)
    shown = certificates.self_signed(tmp_path)
    both = tmp_path / "both.pem"
    both.write_bytes(shown.key.read_bytes() + shown.certificate.read_bytes())
    password = tmp_path / "password"
    password.touch(0o600)
    password.write_text("secret\n")
    options = ("--cert", both, "--user", "ann:secret", "--protocols", "tcp")
    with recording(tmp_path, out, *options) as port:
        trust = ("--fingerprint", shown.fingerprint, "--password-file", password)
        push(tmp_path, clip, f"rtsps://ann@127.0.0.1:{port}/door", *trust)
    stage.check(out, "h264", "opus")


def test_our_receiver(clip: Path, tmp_path: Path) -> None:
    out, port = stage.Outputs.of(tmp_path), rtsp.free_port()
    command = stage.receiver(f"127.0.0.1:{port}", out, "--exit-on-end")
    with peers.Process(command, tmp_path, "receiver") as receiving:
        receiving.wait_for_port(port)
        push(tmp_path, clip, f"rtsp://127.0.0.1:{port}/door")
        assert receiving.wait(8) == 0, receiving.log
        report = receiving.json()
    stage.check(out, "h264", "opus")
    stage.check_report(report, "h264", "opus")
    assert all(stream["ledger"]["sent_known"] for stream in report["streams"])  # type: ignore[attr-defined]
    assert report["peer"] is not None
