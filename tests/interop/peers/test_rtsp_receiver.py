"""Our receiver asks RTSP servers for their streams: GStreamer's, and our own, judged by decoded pictures and sound."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.interop import rtsp, stage
from tests.support import machines, peers

LEVELS = {"jpeg": "compressed"}
"""jpegenc writes limited-range luma as it is, where JFIF has full range: every JPEG decoder compresses it again."""
TEST_PICTURES = (
    "videotestsrc is-live=true ! video/x-raw,width=160,height=120,framerate=25/1"
    " ! vp8enc deadline=1 keyframe-max-dist=25 ! rtpvp8pay pt=96 name=pay0"
)


@contextmanager
def gstreamer(folder: Path, *options: object, **what: Any) -> Iterator[str]:
    """The URL of a server."""
    rtsp.need_gstreamer_server()
    with peers.Process(rtsp.gstreamer_server(*options, **what), folder, "server") as server:
        yield f"rtsp://127.0.0.1:{rtsp.wait_until_ready(server)}/stream"


def play(url: str, folder: Path, *options: object) -> dict[str, Any]:
    """Until the server says that it is over; our report."""
    out = stage.Outputs.of(folder)
    with peers.Process(stage.receiver(url, out, "--exit-on-end", *options), folder, "receiver") as receiving:
        assert receiving.wait(20) == 0, receiving.log
        return receiving.json()


@pytest.mark.parametrize(
    ("lower", "video", "audio"), [("udp", "h264", "opus"), ("tcp", "vp8", "l16"), ("auto", "jpeg", "pcmu")]
)
def test_gstreamer_plays_for_us(clip: Path, tmp_path: Path, lower: str, video: str, audio: str) -> None:
    with gstreamer(tmp_path, clip=clip, video=video, audio=audio) as url:
        report = play(url, tmp_path, "--rtsp-transport", lower)
    stage.check(stage.Outputs.of(tmp_path), video, audio, LEVELS.get(video, "same"))
    stage.check_report(report, video, audio)


def test_payload_types_are_what_the_server_says(tmp_path: Path) -> None:
    """VP8 on 96, which is H.264 by default; and of a track in a codec we do not have, a line."""
    more = (
        " audiotestsrc is-live=true ! mulawenc ! rtppcmupay name=pay1 audiotestsrc is-live=true ! adpcmenc ! rtpg722pay"
    )
    more = " audiotestsrc is-live=true ! avenc_g722 ! rtpg722pay name=pay1"
    with gstreamer(tmp_path, launch=TEST_PICTURES + more) as url:
        nothing = ("--video", "none", "--audio", "none", "--duration", "3s", "--json")
        with peers.Process(peers.receiver(url, *nothing), tmp_path, "receiver") as receiving:
            assert receiving.wait(20) == 0, receiving.log
            report = receiving.json()
    assert stage.stream(report, "video")["encoding"] == "VP8"
    assert len(report["streams"]) == 1  # type: ignore[arg-type]
    assert "track 2 cannot be played and is left out: audio, G722" in receiving.log


def test_lost_packets_are_asked_for_where_the_server_has_them(tmp_path: Path) -> None:
    """RFC 4588, as the server's SDP offers it: it does get requests of ours, and the repair is counted."""
    options = ("--profiles", "avpf", "--retransmission", 500)
    with gstreamer(tmp_path, *options, launch=TEST_PICTURES) as url:
        nothing = ("--video", "none", "--audio", "none", "--duration", "3s", "--json")
        with peers.Process(peers.receiver(url, *nothing), tmp_path, "receiver") as receiving:
            assert receiving.wait(20) == 0, receiving.log
            report = receiving.json()
    told = stage.stream(report, "video")
    assert told["repair"] is not None
    assert told["rtt_ms"] is not None or told["ledger"]["arrived"] > 20


def test_our_own_server(clip: Path, tmp_path: Path) -> None:
    """Every packet is accounted for, and both ends have both reports."""
    url = f"rtsp://127.0.0.1:{rtsp.free_port()}/clip"
    media = ("--video", clip, "--video-codec", "h264", "--video-bitrate", "2M", "--exit-on-end", "--json")
    with peers.Process(rtsp.serve(url, *media), tmp_path, "server") as server:
        server.wait_for_text("serving")
        report = play(url, tmp_path)
        assert server.wait(10) == 0, server.log
    stage.check(stage.Outputs.of(tmp_path), "h264", "opus")
    stage.check_report(report, "h264", "opus")
    for stream in report["streams"]:
        ledger = stream["ledger"]
        assert (ledger["sent"], ledger["lost"], ledger["before_join"]) == (ledger["arrived"], 0, 0)
    assert report["peer"] is not None


def test_our_own_server_to_a_group(clip: Path, tmp_path: Path) -> None:
    """GStreamer's does not share its port with a receiver on the same machine."""
    url, group = f"rtsp://127.0.0.1:{rtsp.free_port()}/clip", f"239.255.77.22:{peers.free_ports()}"
    here = ("--interface", "lo")
    media = ("--video", clip, "--video-codec", "h264", "--video-bitrate", "2M", "--exit-on-end", "--multicast", group)
    with peers.Process(rtsp.serve(url, *media, *here), tmp_path, "server") as server:
        server.wait_for_text("serving")
        report = play(url, tmp_path, "--rtsp-transport", "multicast", *here)
    assert "by multicast" in (tmp_path / "receiver.log").read_text()
    stage.check(stage.Outputs.of(tmp_path), "h264", "opus")
    stage.check_report(report, "h264", "opus")


@pytest.mark.parametrize(
    ("name", "exit_code", "line"),
    [
        ("alice", 0, "plays VP8, by UDP"),
        ("alice:wrong", 1, "does not take the password of alice"),
        ("", 1, "wants to know who we are: write rtsp://USER@127.0.0.1, and give --password-file FILE"),
    ],
)
def test_users_and_passwords(tmp_path: Path, name: str, exit_code: int, line: str) -> None:
    password = tmp_path / "password"
    password.write_text("secret\n")
    password.chmod(0o600)
    with gstreamer(tmp_path, "--user", "alice:secret", launch=TEST_PICTURES) as url:
        url = url.replace("127", f"{name}@127") if name else url
        options = ("--video", "none", "--audio", "none", "--duration", "2s", "--password-file", password)
        with peers.Process(peers.receiver(url, *options), tmp_path, "receiver") as receiving:
            assert receiving.wait(20) == exit_code, receiving.log
    assert line in receiving.log
    assert "Traceback" not in receiving.log


def test_a_capture_of_packets_in_the_connection(tmp_path: Path) -> None:
    """Replayed, it gives the same figures; other programs see datagrams in it."""
    file, nothing = tmp_path / "run.pcapng", ("--video", "none", "--audio", "none", "--duration", "2s", "--json")
    with gstreamer(tmp_path, launch=TEST_PICTURES) as url:
        command = peers.receiver(url, *nothing, "--rtsp-transport", "tcp", "--capture", file)
        with peers.Process(command, tmp_path, "receiver") as receiving:
            assert receiving.wait(20) == 0, receiving.log
    with peers.Process([*peers.receiver("replay", file), "--json"], tmp_path, "replay") as replaying:
        assert replaying.wait(20) == 0, replaying.log
    live, again = (stage.stream(process.json(), "video") for process in (receiving, replaying))
    assert live["ledger"]["arrived"] > 40
    for figure in ("encoding", "ssrc", "ledger", "jitter_ms", "playout_delay_ms", "traffic"):
        assert again[figure] == live[figure]


def test_ipv6(tmp_path: Path) -> None:
    url = f"rtsp://[::1]:{rtsp.free_port()}/live"
    media = ("--video", "pattern", "--size", "160x120", "--audio", "none")
    with peers.Process(rtsp.serve(url, *media), tmp_path, "server") as server:
        server.wait_for_text("serving")
        for lower in ("udp", "tcp"):
            nothing = ("--video", "none", "--audio", "none", "--duration", "1s", "--json", "--rtsp-transport", lower)
            with peers.Process(peers.receiver(url, *nothing), tmp_path, lower) as receiving:
                assert receiving.wait(20) == 0, receiving.log
            assert stage.stream(receiving.json(), "video")["ledger"]["lost"] == 0
            assert f"by {lower.upper()}" in receiving.log


def test_a_firewall_lets_no_udp_through(tmp_path: Path) -> None:
    """After two seconds packets come in the connection, by itself, and it is said."""
    with machines.two_machines(tmp_path) as (here, there):
        here.block_udp()
        media = ("--video", "pattern", "--size", "160x120", "--audio", "none")
        with there.run(rtsp.serve("rtsp://0.0.0.0:8554/live", *media), "server") as server:
            server.wait_for_text("serving")
            nothing = ("--video", "none", "--audio", "none", "--duration", "4s", "--json")
            command = peers.receiver(f"rtsp://{there.address}:8554/live", *nothing)
            with here.run(command, "receiver") as receiving:
                assert receiving.wait(20) == 0, receiving.log
    assert "no packets by UDP for 2 s: asking for them in the TCP connection" in receiving.log
    assert stage.stream(receiving.json(), "video")["ledger"]["lost"] == 0
    (started,) = (event for event in receiving.json()["events"] if event["kind"] == "stream_started")  # type: ignore[attr-defined]
    assert 1.9 < started["time_s"] < 3.5
