"""SRTP agreed on over RTSPS, with keys by MIKEY (RFC 4567): GStreamer's server and clients, and ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop import stage, test_record
from tests.interop.sessions.test_rtsp_receiver import gstreamer, play
from tests.support import certificates


@pytest.mark.parametrize(("lower", "profile"), [("udp", "savpf"), ("tcp", "savp")])
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
