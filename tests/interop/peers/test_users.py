"""Names and passwords by Digest: FFmpeg, which knows qop, and GStreamer, which writes RFC 2069's form, come in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop import gstreamer, rtsp
from tests.support import peers


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("serve")
    users = folder / "users"
    users.write_text("# who may see\nann:se cret:ü\n", encoding="utf-8")
    users.chmod(0o600)
    where = f"127.0.0.1:{rtsp.free_port()}/door"
    options = ("--video", "none", "--audio", "tone", "--users", users, "--no-announce")
    with peers.Process(rtsp.serve(f"rtsp://{where}", *options), folder, "server") as server:
        server.wait_for_text("serving")
        yield where
        assert server.interrupt() == 0, server.log
    assert "not let in: wrong_password: user 'ann'" in server.log


@pytest.mark.parametrize(("password", "code"), [("se%20cret:%C3%BC", 0), ("secret", 1)])
def test_ffprobe(url: str, tmp_path: Path, password: str, code: int) -> None:
    peers.need("ffprobe")
    command = ["ffprobe", "-v", "error", "-rtsp_transport", "tcp", f"rtsp://ann:{password}@{url}"]
    with peers.Process(command, tmp_path, "ffprobe") as probe:
        assert probe.wait(15) == code, probe.log
    assert ("401 Unauthorized" in probe.log) == bool(code)


@pytest.mark.parametrize(("password", "code"), [("se cret:ü", 0), ("secret", 1)])
def test_gstreamer(url: str, tmp_path: Path, password: str, code: int) -> None:
    peers.need("gst-launch-1.0")
    command = [
        *gstreamer.LAUNCH,
        *("rtspsrc", f"location=rtsp://{url}", "protocols=tcp", "user-id=ann", f"user-pw={password}"),
        *("!", "fakesink", "num-buffers=20"),
    ]
    with peers.Process(command, tmp_path, "gstreamer") as playing:
        assert playing.wait(15) == code, playing.log
    assert ("Unauthorized" in playing.log) == bool(code)
