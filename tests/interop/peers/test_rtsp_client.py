"""Our RTSP client and GStreamer's server: plain, TLS, Digest, Basic; packets through the connection."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from protocol import rtp, sdp
from protocol.control.client import Callbacks, Options, RtspClient
from protocol.control.trust.known_hosts import KnownHosts
from protocol.control.trust.secure import Trust
from protocol.errors import NoPeerError, Untrusted
from protocol.rtsp import transport
from protocol.rtsp import url as rtsp_url
from protocol.rtsp.headers import Headers
from tests.support import certificates, peers

PYTHON = "/usr/bin/python3"
LAUNCH = "audiotestsrc is-live=true ! audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay name=pay0 pt=8"


@contextmanager
def server(folder: Path, *options: object) -> Iterator[int]:
    """GStreamer's, and its port."""
    script = peers.ROOT / "tests" / "support" / "gst_rtsp_server.py"
    if shutil.which(PYTHON) is None or subprocess.run([PYTHON, script, "--help"], capture_output=True).returncode:
        pytest.skip("GStreamer's RTSP server for Python is not installed")
    with peers.Process([PYTHON, script, "--launch", LAUNCH, *options], folder, "gstreamer") as process:
        process.wait_for_text("ready ")
        yield int(re.findall(r"ready (\d+)", process.output)[0])


async def play(url: str, folder: Path, said: list[str]) -> list[tuple[int, bytes]]:
    """Some packets of the stream."""
    packets: list[tuple[int, bytes]] = []
    enough = asyncio.Event()

    def packet(channel: int, data: bytes) -> None:
        packets.append((channel, data))
        if len(packets) > 12:
            enough.set()

    trust = Trust(KnownHosts(folder / "known_hosts"))
    client = RtspClient(rtsp_url.parse(url), Callbacks(packet, say=said.append), Options(trust))
    await client.open()
    try:
        await client.ask("OPTIONS")
        assert client.public >= {"DESCRIBE", "SETUP", "PLAY", "TEARDOWN"}
        described = await client.ask("DESCRIBE", headers=Headers.of(("Accept", "application/sdp")))
        media = sdp.parse(described.body).media[0]
        base = described.headers.get("Content-Base") or str(client.url)
        offer = transport.Transport(lower="TCP", interleaved=(4, 5))
        answer = await client.ask(
            "SETUP",
            rtsp_url.control(base, media.attribute("control")),
            Headers.of(("Transport", transport.serialize([offer]))),
        )
        assert client.session is not None
        (agreed,) = transport.parse(answer.headers.get("Transport") or "")
        assert agreed.interleaved == (4, 5)
        await client.ask("PLAY", base, Headers.of(("Range", "npt=0-")))
        async with asyncio.timeout(10):
            await enough.wait()
        await client.ask("GET_PARAMETER", base)
        await client.ask("TEARDOWN", base)
        assert client.session is None
    finally:
        client.close()
    return packets


def check(packets: list[tuple[int, bytes]]) -> None:
    media = [rtp.parse(data) for channel, data in packets if channel == 4]
    assert len(media) > 8
    assert {packet.payload_type for packet in media} == {8}
    numbers = [packet.sequence_number for packet in media]
    assert numbers == [(numbers[0] + n) % 65536 for n in range(len(numbers))]


def test_packets_come_through_the_connection(tmp_path: Path) -> None:
    with server(tmp_path) as port:
        check(asyncio.run(play(f"rtsp://127.0.0.1:{port}/stream", tmp_path, [])))
        with pytest.raises(NoPeerError, match=r"^there is no stream other at 127\.0\.0\.1:\d+$"):
            asyncio.run(play(f"rtsp://127.0.0.1:{port}/other", tmp_path, []))


@pytest.mark.parametrize("secure", [False, True])
def test_digest(tmp_path: Path, secure: bool) -> None:
    certificate: tuple[object, ...] = ()
    if secure:
        pair = certificates.self_signed(tmp_path)
        both = tmp_path / "both.pem"
        both.write_bytes(pair.certificate.read_bytes() + pair.key.read_bytes())
        certificate = ("--cert", both)
    scheme = "rtsps" if secure else "rtsp"
    said: list[str] = []
    with server(tmp_path, "--user", "anna:secret", *certificate) as port:
        check(asyncio.run(play(f"{scheme}://anna:secret@127.0.0.1:{port}/stream", tmp_path, said)))
        with pytest.raises(Untrusted, match="does not take the password of anna"):
            asyncio.run(play(f"{scheme}://anna:wrong@127.0.0.1:{port}/stream", tmp_path, said))
    assert len(said) == secure
    if secure:
        assert said[0].endswith(f"is new here and trusted from now on, by its fingerprint {pair.fingerprint}")


def test_basic_is_only_given_to_those_who_hide_it(tmp_path: Path) -> None:
    with server(tmp_path, "--user", "anna:secret", "--basic") as port, pytest.raises(Untrusted, match="only rtsps://"):
        asyncio.run(play(f"rtsp://anna:secret@127.0.0.1:{port}/stream", tmp_path, []))
