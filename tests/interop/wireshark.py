"""dumpcap and tshark: what an independent dissector sees of our packets."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import peers

WARNING = "0x600000"
"""`_ws.expert.severity` of a warning; errors are above."""


def capture(ports: Sequence[int], path: Path, folder: Path) -> peers.Process:
    """dumpcap on loopback, already listening; skips the test where capturing is not allowed."""
    peers.need("dumpcap", "tshark")
    test = subprocess.run(["dumpcap", "-i", "lo", "-a", "duration:0"], capture_output=True, text=True, check=False)
    if "permission" in test.stderr.lower():
        pytest.skip("this user may not capture on loopback")
    wanted = f"udp portrange {min(ports)}-{max(ports)}"
    process = peers.Process(["dumpcap", "-q", "-i", "lo", "-f", wanted, "-w", path], folder, "dumpcap")
    process.wait_for_text("File:")
    return process


def tshark(path: Path, *options: str) -> str:
    """What tshark says of a capture."""
    command = ["tshark", "-n", "-r", str(path), *options]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def decode_as(rtp: Sequence[int], rtcp: Sequence[int]) -> list[str]:
    """Options: which ports hold what, and what our default payload types are (99 is RED to tshark otherwise)."""
    rules = [f"udp.port=={port},rtp" for port in rtp] + [f"udp.port=={port},rtcp" for port in rtcp]
    rules += ["rtp.pt==96,h264", "rtp.pt==97,opus", "rtp.pt==98,vp8", "rtp.pt==99,data"]
    return [part for rule in rules for part in ("-d", rule)]


def complaints(path: Path, decoding: Sequence[str]) -> list[str]:
    """Packets that are malformed or of which an expert warns. "Not decoded yet" is what the H.264 dissector says of
    slice data in general, also FFmpeg's: no complaint."""
    wanted = f"_ws.malformed || _ws.expert.severity >= {WARNING}"
    fields = ("frame.number", "_ws.col.Info", "_ws.expert.message")
    lines = tshark(path, *decoding, "-Y", wanted, "-T", "fields", *(part for f in fields for part in ("-e", f)))
    return [line for line in lines.splitlines() if set(line.split("\t")[-1].split(",")) != {"[Not decoded yet]"}]


@dataclass(frozen=True, slots=True)
class RtpStream:
    """One line of `tshark -z rtp,streams`."""

    ssrc: int
    packets: int
    lost: int
    max_jitter_ms: float


def rtp_streams(path: Path, decoding: Sequence[str]) -> dict[int, RtpStream]:
    """tshark's RTP stream analysis by SSRC."""
    table = tshark(path, "-q", *decoding, "-z", "rtp,streams")
    streams = {}
    for line in table.splitlines():
        ssrc = next((word for word in line.split() if word.startswith("0x")), None)
        if ssrc is not None:
            streams[int(ssrc, 16)] = _stream(int(ssrc, 16), line)
    return streams


def _stream(ssrc: int, line: str) -> RtpStream:
    """…  SSRC  payload  packets  lost (share)  delta min mean max  jitter min mean max  problems"""
    words = line.replace("(", " (").split()
    share = next(i for i, word in enumerate(words) if word.startswith("("))
    return RtpStream(ssrc, int(words[share - 2]), int(words[share - 1]), float(words[share + 6]))
