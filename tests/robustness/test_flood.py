"""A good stream beside floods of junk, and in a network that sends everything back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from receiver.sockets import LINUX
from tests.robustness import junk
from tests.support import media, peers

RATE = 10_000
"""junk datagrams a second: many times the good stream's, and no load that another machine could not take."""
MEMORY = 250_000_000
"""bytes; the program with its libraries takes about 100 MB."""


def _stream(report: dict[str, Any], ssrc: int) -> dict[str, Any]:
    return next(stream for stream in report["streams"] if stream["ssrc"] == ssrc)


def _play(folder: Path, clip: Path, port: int, *, target: int) -> tuple[dict[str, Any], dict[str, Any], int, str]:
    """Sends the clip to a receiver that runs; the sender's and the receiver's reports, peak memory and log."""
    command = peers.receiver(f":{port}", "--video", folder / "out.y4m", "--audio", folder / "out.wav", "--json")
    with peers.Process(command, folder, "receiver") as receiver:
        receiver.wait_for_port(port)
        good = peers.sender(f"127.0.0.1:{target}", "--video", clip, "--audio", clip, "--json")
        if target == port:
            with junk.flood(port, RATE):
                report = _send(good, folder)
        else:
            report = _send(good, folder)
        memory = _peak_memory(receiver.process.pid)
        assert receiver.interrupt() == 0, receiver.log
        return report, receiver.json(), memory, receiver.log


def _send(command: list[object], folder: Path) -> dict[str, Any]:
    with peers.Process(command, folder, "sender") as sender:
        assert sender.wait(20) == 0, sender.log
        return sender.json()


def _peak_memory(pid: int) -> int:
    status = Path(f"/proc/{pid}/status")
    if not status.exists():  # no Linux: not known
        return 0
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def test_a_stream_begins_and_plays_on_in_a_flood_of_junk(tmp_path: Path, clip: Path) -> None:
    port = peers.free_ports()
    sent, report, memory, log = _play(tmp_path, clip, port, target=port)
    for stream in sent["streams"]:
        heard = _stream(report, stream["ssrc"])
        assert heard["ledger"]["lost"] == 0, f"{heard}\n{report['socket']}"
        if stream["media"] == "video":
            assert heard["frames"]["rendered"] >= 0.8 * stream["frames"]["sent"], "a busy machine drops some itself"
        else:
            assert heard["concealment"]["concealed_samples"] < 0.1 * 3 * 48_000
    unparsed = report["socket"]["unparsed"]
    reasons = {"rtp_version", "rtp_header", "rtp_extension", "rtcp_length", "payload_type", "unconfirmed"}
    assert reasons <= set(unparsed), unparsed
    assert unparsed["unconfirmed"] > RATE / len(junk.KINDS)
    assert memory < MEMORY
    assert "Traceback" not in log
    assert len(log.splitlines()) < 800, "the junk fills the screen"


@pytest.mark.skipif(not LINUX, reason="queues of known senders are Linux's")
def test_a_stream_plays_on_through_all_that_a_machine_can_send(tmp_path: Path) -> None:
    """Another process sends junk without a pause, for three of the stream's eight seconds."""
    clip, port = media.make_clip(tmp_path / "long.mkv", 8), peers.free_ports()
    command = peers.receiver(f":{port}", "--video", tmp_path / "out.y4m", "--audio", tmp_path / "out.wav", "--json")
    good = peers.sender(f"127.0.0.1:{port}", "--video", clip, "--audio", clip, "--json")
    with peers.Process(command, tmp_path, "receiver") as receiver:
        receiver.wait_for_port(port)
        with peers.Process(good, tmp_path, "sender") as sender:
            receiver.wait_for_text("video lost")
            with junk.full_flood(port, tmp_path, 3) as flooding:
                assert flooding.wait(20) == 0, flooding.log
                sent = int(flooding.output)
            assert sender.wait(30) == 0, sender.log
            streams = sender.json()["streams"]
        assert receiver.interrupt() == 0, receiver.log
        report = receiver.json()
    for stream in streams:
        heard = _stream(report, stream["ssrc"])
        assert heard["ledger"]["lost"] == 0, f"{heard}\n{report['socket']}"
        if stream["media"] == "video":
            assert heard["frames"]["rendered"] >= 0.8 * stream["frames"]["sent"], "a busy machine drops some itself"
    handled, dropped = report["socket"]["datagrams"], report["socket"]["kernel_drops"]
    assert sent > 50_000, "no flood"
    assert handled + dropped >= 0.9 * sent, "GRO may have put some of those that were dropped together"


def test_what_comes_back_is_counted_and_changes_nothing(tmp_path: Path, clip: Path) -> None:
    port = peers.free_ports()
    with junk.Mirror(port) as mirror:
        sent, report, _, log = _play(tmp_path, clip, port, target=mirror.port)
    assert len(report["streams"]) == 2, log
    for stream in sent["streams"]:
        heard = _stream(report, stream["ssrc"])
        assert heard["ledger"]["lost"] == 0, f"{heard}\n{report['socket']}"
        assert heard["ledger"]["duplicates"] >= 0.9 * heard["ledger"]["arrived"]
        if stream["media"] == "video":
            assert heard["frames"]["rendered"] >= 0.8 * stream["frames"]["sent"], "a busy machine drops some itself"
    assert report["socket"]["unparsed"]["own_packet_returned"] > 0
    assert sent["socket"]["unparsed"]["own_packet_returned"] > 0
    assert sent["socket"]["unparsed"]["not_rtcp"] > 0
