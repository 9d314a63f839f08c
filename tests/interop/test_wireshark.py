"""tshark looks at what two of our programs say to each other, through a network that loses and delays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.interop import stage, wireshark
from tests.support import peers

NETWORK = ("--loss", "3%", "--delay", "20ms", "--jitter", "2ms", "--no-reordering", "--back", "delay", "--seed", "5")
CLOCK_KNOWN = {"H264", "JPEG", "PCMU"}
"""tshark computes no jitter for dynamic payload types whose clock rate it does not know."""


@contextmanager
def captured(
    folder: Path, clip: Path, video: str, audio: str, target: str
) -> Iterator[tuple[Path, int, dict[str, Any]]]:
    """A run through the proxy: what arrived at the receiver's ports as a capture, the first of these ports, and the
    receiver's report."""
    listen, port, file = peers.free_ports(), peers.free_ports(), folder / "capture.pcapng"
    maps = [part for i in range(4) for part in ("--map", f"{listen + i}:{port + i}")]
    receive = stage.receiver(f"127.0.0.1:{port}", stage.Outputs.of(folder), "--exit-on-end")
    with (
        wireshark.capture((port, port + 3), file, folder) as capture,
        peers.Process(receive, folder, "receiver") as receiving,
        peers.Process(peers.proxy(*maps, *NETWORK, "--log", folder / "network.jsonl"), folder, "proxy") as proxy,
    ):
        receiving.wait_for_port(port)
        proxy.wait_for_text("ready")
        send = stage.sender(target.format(listen), clip, video, audio)
        with peers.Process(send, folder, "sender") as sending:
            assert sending.wait() == 0, sending.log
        assert receiving.wait(5) == 0, receiving.log
        capture.interrupt()
        proxy.stop()
    yield file, port, json.loads(receiving.output)


@pytest.mark.parametrize(("video", "audio"), stage.PAIRS)
def test_no_malformed_packet_and_the_same_figures(clip: Path, tmp_path: Path, video: str, audio: str) -> None:
    with captured(tmp_path, clip, video, audio, "rtp://127.0.0.1:{}") as (file, port, report):
        decoding = wireshark.decode_as((port, port + 2), (port + 1, port + 3))
        assert wireshark.complaints(file, decoding) == []
        protocols = wireshark.tshark(file, *decoding, "-q", "-z", "io,phs")
        assert "rtp" in protocols
        assert "rtcp" in protocols
        streams = wireshark.rtp_streams(file, decoding)
        for kind in ("video", "audio"):
            told = stage.stream(report, kind)
            seen, ledger = streams[told["ssrc"]], told["ledger"]
            assert seen.packets == ledger["arrived"]
            assert (ledger["lost"], seen.lost) == lost(tmp_path / "network.jsonl", told["ssrc"])
            if told["encoding"] in CLOCK_KNOWN:
                assert 0 < told["jitter_ms"] <= seen.max_jitter_ms + 1


def lost(log: Path, ssrc: int) -> tuple[int, int]:
    """By the network's own log: packets of a stream that were lost, and those of them that an observer at the receiver
    can miss, because others arrived before and after them."""
    fates = [json.loads(line) for line in log.read_text().splitlines()]
    arrived = [bool(fate["arrivals"]) for fate in fates if fate.get("ssrc") == ssrc and fate["direction"] == "forward"]
    inside = arrived[arrived.index(True) : len(arrived) - arrived[::-1].index(True)]
    return arrived.count(False), inside.count(False)


def test_one_port_for_everything(clip: Path, tmp_path: Path) -> None:
    """RFC 5761: RTP and RTCP told apart on one port by a dissector that was told only `rtp`."""
    with captured(tmp_path, clip, "h264", "opus", "127.0.0.1:{}") as (file, port, report):
        decoding = wireshark.decode_as((port,), ())
        assert wireshark.complaints(file, decoding) == []
        kinds = wireshark.tshark(file, *decoding, "-T", "fields", "-e", "rtcp.pt").split()
        assert {"200", "201", "202"} <= {kind for line in kinds for kind in line.split(",")}
        streams = wireshark.rtp_streams(file, decoding)
        for kind in ("video", "audio"):
            told = stage.stream(report, kind)
            assert streams[told["ssrc"]].packets == told["ledger"]["arrived"]
