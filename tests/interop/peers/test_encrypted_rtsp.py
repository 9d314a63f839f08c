"""SRTP agreed on over RTSPS, with keys by MIKEY (RFC 4567): GStreamer's server and clients, and ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.interop import rtsp, stage
from tests.interop.peers import test_record
from tests.interop.peers.test_rtsp_receiver import gstreamer, play
from tests.support import certificates, media, peers


@pytest.mark.parametrize(("lower", "profile"), [("udp", "savpf"), ("tcp", "savp"), ("auto", "avp")])
def test_gstreamers_server_encrypts_for_us(clip: Path, tmp_path: Path, lower: str, profile: str) -> None:
    pair = certificates.self_signed(tmp_path)
    both = tmp_path / "both.pem"
    both.write_bytes(pair.certificate.read_bytes() + pair.key.read_bytes())
    password = tmp_path / "password"
    password.write_text("secret\n")
    password.chmod(0o600)
    options = ("--cert", both, "--user", "alice:secret", "--profiles", profile)
    with gstreamer(tmp_path, *options, clip=clip, video="h264", audio="opus") as url:
        trust = ("--rtsp-transport", lower, "--fingerprint", pair.fingerprint, "--password-file", password)
        report = play(url.replace("rtsp://", "rtsps://alice@"), tmp_path, *trust)
    how = "by UDP, encrypted" if lower == "udp" else "by TCP"  # what does not encrypt packets, does so with the rest
    assert how in (tmp_path / "receiver.log").read_text()
    stage.check(stage.Outputs.of(tmp_path), "h264", "opus")
    stage.check_report(report, "h264", "opus")


@pytest.mark.parametrize("lower", ["udp", "tcp"])
def test_gstreamers_sink_encrypts_for_us(clip: Path, tmp_path: Path, lower: str) -> None:
    def send(port: int) -> list[object]:
        properties = ("profiles=savp", "tls-validation-flags=0")
        return test_record.by_gstreamer(clip, f"rtsps://127.0.0.1:{port}/clip", lower, "h264", "opus", *properties)

    report = test_record.take(tmp_path, send, lenient=True)
    assert "encrypted" in (tmp_path / "receiver.log").read_text()
    stage.check(stage.Outputs.of(tmp_path), "h264", "opus", cut=0.5)
    stage.check_report(report, "h264", "opus")


@contextmanager
def served(folder: Path, clip: Path, *options: object) -> Iterator[str]:
    """Our server; the URL."""
    url = f"rtsps://127.0.0.1:{rtsp.free_port()}/clip"
    media = (
        "--video",
        clip,
        "--video-codec",
        "h264",
        "--video-bitrate",
        "2M",
        "--exit-on-end",
        "--no-announce",
        "--json",
    )
    with peers.Process(rtsp.serve(url, *media, *options), folder, "server") as server:
        server.wait_for_text("serving")
        yield url
        assert server.wait(15) == 0, server.log


@pytest.mark.parametrize("lower", ["udp", "tcp"])
def test_ours_with_each_other(clip: Path, tmp_path: Path, lower: str) -> None:
    """Encrypted without being asked to; every packet is accounted for, and both ends have both reports."""
    with served(tmp_path, clip) as url:
        report = play(url, tmp_path, "--rtsp-transport", lower)
    assert "encrypted" in (tmp_path / "receiver.log").read_text()
    stage.check(stage.Outputs.of(tmp_path), "h264", "opus")
    stage.check_report(report, "h264", "opus")
    for stream in report["streams"]:
        ledger = stream["ledger"]
        assert (ledger["sent"], ledger["lost"], ledger["before_join"]) == (ledger["arrived"], 0, 0)
    assert report["peer"] is not None
    assert report["socket"]["unparsed"] == {}


def test_gstreamer_plays_what_is_encrypted(clip: Path, tmp_path: Path) -> None:
    out = stage.Outputs.of(tmp_path)
    with served(tmp_path, clip) as url:
        command = rtsp.by_gstreamer(url, "udp", "h264", "opus", out.pictures, out.sound, "tls-validation-flags=0")
        with peers.Process(command, tmp_path, "peer") as playing:
            assert playing.wait(20) == 0, playing.log
    stage.check(out, "h264", "opus")


def test_ours_is_sent_to_ours(clip: Path, tmp_path: Path) -> None:
    def send(port: int) -> list[object]:
        return stage.sender(f"rtsps://127.0.0.1:{port}/clip", clip, "h264", "opus")

    report = test_record.take(tmp_path, send)
    for name, line in (("receiver", "sends clip: H264, opus, by UDP, encrypted"), ("peer", "by UDP, encrypted")):
        assert line in (tmp_path / f"{name}.log").read_text()
    stage.check(stage.Outputs.of(tmp_path), "h264", "opus")
    stage.check_report(report, "h264", "opus")
    assert report["peer"] is not None
    assert report["socket"]["unparsed"] == {}


@pytest.mark.parametrize("lower", ["udp", "tcp"])
def test_ours_is_sent_to_gstreamers_server(clip: Path, tmp_path: Path, lower: str) -> None:
    pair = certificates.self_signed(tmp_path)
    both, password = tmp_path / "both.pem", tmp_path / "password"
    both.write_bytes(pair.certificate.read_bytes() + pair.key.read_bytes())
    password.write_text("secret\n")
    password.chmod(0o600)
    pictures = tmp_path / "pictures.y4m"
    launch = (
        "rtph264depay name=depay0 ! avdec_h264 ! videoconvert ! video/x-raw,format=I420,colorimetry=bt601"
        f" ! y4menc ! filesink sync=false location={pictures}"
    )
    options = ("--cert", both, "--user", "alice:secret", "--profiles", "savp", "--record", "--protocols", lower)
    with gstreamer(tmp_path, *options, launch=launch) as url:
        target = url.replace("rtsp://", "rtsps://alice@")
        trust = ("--fingerprint", pair.fingerprint, "--password-file", password)
        command = peers.sender(target, "--video", clip, "--audio", "none", "--video-bitrate", "2M", *trust)
        with peers.Process(command, tmp_path, "sender") as sending:
            assert sending.wait(20) == 0, sending.log
    assert "encrypted" in sending.log
    seen = media.look(pictures, "same")
    assert len(set(seen.numbers)) > 0.8 * stage.PICTURES
