"""SRTP and SRTCP with GStreamer and FFmpeg, both directions, through UDP: the same packets come out."""

from __future__ import annotations

import base64
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from protocol.rtp import parse
from protocol.srtp.master_key import MasterKey
from protocol.srtp.profile import Profile
from protocol.srtp.protector import Protector
from protocol.srtp.unprotector import Unprotector
from tests.support import peers
from tests.support.peers import Process

SSRC = 0x5EED0001
CIPHERS = {
    Profile.AES_CM_128_HMAC_SHA1_80: ("aes-128-icm", "hmac-sha1-80"),
    Profile.AEAD_AES_128_GCM: ("aes-128-gcm", "null"),
    Profile.AEAD_AES_256_GCM: ("aes-256-gcm", "null"),
}
"""cipher and authentication, as GStreamer calls them."""
PACKETS = [
    struct.pack("!BBHII", 0x80, 96, (65_530 + n) & 0xFFFF, 3000 * n, SSRC) + bytes([n]) * (1 + 60 * (n % 20))
    for n in range(20)
]
REPORTS = [struct.pack("!BBHIIIIII", 0x80, 200, 6, SSRC, 5, 6, 7, n, 8) for n in range(5)]


@contextmanager
def bound() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(10)
        yield sock


def port(sock: socket.socket) -> int:
    number: int = sock.getsockname()[1]
    return number


def wait_for(ports: list[int]) -> None:
    """Until somebody has bound all of these."""
    until = time.monotonic() + 15
    while any(peers.is_free(number, "127.0.0.1") for number in ports):
        assert time.monotonic() < until, "GStreamer does not listen"
        time.sleep(0.02)


def through(pipeline: str, folder: Path, rtp: list[bytes], rtcp: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """What comes out of a pipeline that takes RTP from {rtp_in} to {rtp_out}, and RTCP likewise."""
    peers.need("gst-launch-1.0")
    first = peers.free_ports(2)
    with bound() as rtp_out, bound() as rtcp_out:
        filled = pipeline.format(rtp_in=first, rtcp_in=first + 1, rtp_out=port(rtp_out), rtcp_out=port(rtcp_out))
        with Process(["gst-launch-1.0", "-q", *filled.split()], folder, "gstreamer") as process:
            wait_for([first, first + 1])
            for datagrams, to in ((rtp, first), (rtcp, first + 1)):
                for datagram in datagrams:
                    rtp_out.sendto(datagram, ("127.0.0.1", to))
                    time.sleep(0.002)
            try:
                got = [rtp_out.recv(65_536) for _ in rtp], [rtcp_out.recv(65_536) for _ in rtcp]
            except TimeoutError:
                raise AssertionError(process.log) from None
    return got


@pytest.mark.parametrize("profile", Profile)
def test_gstreamer_reads_ours(profile: Profile, tmp_path: Path) -> None:
    key = MasterKey.generate(profile)
    cipher, authentication = CIPHERS[profile]
    kind = (
        f"ssrc=(uint){SSRC},roc=(uint)0,srtp-key=(buffer){(key.key + key.salt).hex()},srtp-cipher={cipher},"
        f"srtp-auth={authentication},srtcp-cipher={cipher},srtcp-auth={authentication}"
    )
    pipeline = (
        f"udpsrc port={{rtp_in}} caps=application/x-srtp,payload=96,{kind} ! srtpdec name=d ! "
        "udpsink host=127.0.0.1 port={rtp_out} sync=false async=false "
        f"udpsrc port={{rtcp_in}} caps=application/x-srtcp,{kind} ! d.rtcp_sink d.rtcp_src ! "
        "udpsink host=127.0.0.1 port={rtcp_out} sync=false async=false"
    )
    protector = Protector(key)
    got = through(pipeline, tmp_path, protector.protect(PACKETS), protector.protect(REPORTS))
    assert got == (PACKETS, REPORTS)


@pytest.mark.parametrize("profile", Profile)
def test_gstreamers_is_read(profile: Profile, tmp_path: Path) -> None:
    key = MasterKey.generate(profile)
    cipher, authentication = CIPHERS[profile]
    pipeline = (
        f"udpsrc port={{rtp_in}} caps=application/x-rtp,payload=96,ssrc=(uint){SSRC} ! "
        f"srtpenc name=e key={(key.key + key.salt).hex()} rtp-cipher={cipher} rtp-auth={authentication} "
        f"rtcp-cipher={cipher} rtcp-auth={authentication} ! "
        "udpsink host=127.0.0.1 port={rtp_out} sync=false async=false "
        "udpsrc port={rtcp_in} caps=application/x-rtcp ! e.rtcp_sink_0 e.rtcp_src_0 ! "
        "udpsink host=127.0.0.1 port={rtcp_out} sync=false async=false"
    )
    rtp, rtcp = through(pipeline, tmp_path, PACKETS, REPORTS)
    assert not set(rtp) & set(PACKETS)
    receiver = Unprotector(key)
    assert [receiver.unprotect(datagram, 0) for datagram in rtp] == PACKETS
    assert [receiver.unprotect(datagram, 0) for datagram in rtcp] == REPORTS


SINE = ("-f", "lavfi", "-i", "sine=frequency=500:sample_rate=8000:duration=1")


def test_ffmpegs_is_read(tmp_path: Path) -> None:
    peers.need("ffmpeg")
    key = MasterKey.generate(Profile.AES_CM_128_HMAC_SHA1_80)
    secret = base64.b64encode(key.key + key.salt).decode()
    clear = tmp_path / "clear.ul"
    with bound() as sock:
        url = f"srtp://127.0.0.1:{port(sock)}?rtcpport={port(sock)}&pkt_size=600"
        encode = ("-c:a", "pcm_mulaw", "-f")
        encrypted = (*encode, "rtp", "-srtp_out_suite", key.profile.value, "-srtp_out_params", secret, url)
        command = ["ffmpeg", "-nostdin", *SINE, *encrypted, *encode, "mulaw", clear]
        with Process(command, tmp_path, "ffmpeg") as process:
            assert process.wait() == 0, process.log
        datagrams = list(waiting(sock))
    receiver = Unprotector(key)
    opened = [receiver.unprotect(datagram, 0) or b"" for datagram in datagrams]
    assert not receiver.refused
    assert 200 in {datagram[1] for datagram in opened}, "its sender reports, too"
    sound = b"".join(parse(datagram).payload for datagram in opened if datagram[1] & 0x7F == 0)
    assert sound == clear.read_bytes()


def waiting(sock: socket.socket) -> Iterator[bytes]:
    """Everything that lies in the socket's queue."""
    sock.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            yield sock.recv(65_536)


def test_ffmpeg_reads_ours(tmp_path: Path) -> None:
    peers.need("ffmpeg")
    key = MasterKey.generate(Profile.AES_CM_128_HMAC_SHA1_80)
    secret = base64.b64encode(key.key + key.salt).decode()
    listening = peers.free_ports(2)
    description = tmp_path / "stream.sdp"
    description.write_text(
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        f"m=audio {listening} RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{secret}\r\n"
    )
    sound = bytes(range(256)) * 25
    packets = [
        struct.pack("!BBHII", 0x80, 0, 7 + n, 160 * n, SSRC) + sound[160 * n : 160 * (n + 1)]
        for n in range(len(sound) // 160)
    ]
    out = tmp_path / "out.ul"
    command = ["ffmpeg", "-nostdin", "-protocol_whitelist", "file,udp,rtp,srtp", "-i", description, "-t", "0.5"]
    with Process([*command, "-c:a", "copy", "-f", "mulaw", out], tmp_path, "ffmpeg") as process, bound() as sock:
        wait_for([listening])
        for datagram in Protector(key).protect(packets):
            sock.sendto(datagram, ("127.0.0.1", listening))
            time.sleep(0.02)
        process.wait()
    heard = out.read_bytes()
    assert len(heard) > 3000
    assert heard == sound[: len(heard)]
